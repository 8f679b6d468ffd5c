-- What the migration tool has recorded, read without writing anything.

-- migrations_recorded --
-- Whether any migration was ever recorded in this database.
SELECT to_regclass('_yoyo_migration') IS NOT NULL

-- applied_migrations --
-- The migrations that are applied.
SELECT migration_id FROM _yoyo_migration

-- try_lock_migrations --
-- Becomes the only migrator if nobody else is.
SELECT pg_try_advisory_lock(hashtextextended('adsync:migrate', 0))

-- unlock_migrations --
-- Lets the next migrator in.
SELECT pg_advisory_unlock(hashtextextended('adsync:migrate', 0))
