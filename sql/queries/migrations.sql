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

-- schema_objects --
-- Everything in the connection's own schema that a migration can add or change, with its
-- definition, so that two looks can be compared. Partitions count as part of their table.
WITH ours AS (
  SELECT oid, relname, relkind FROM pg_class
  WHERE relnamespace = current_schema()::regnamespace AND NOT relispartition
    AND relname NOT LIKE '%yoyo%'
)
SELECT CASE WHEN relkind IN ('r', 'p') THEN 'table' ELSE 'view' END AS kind, relname AS of_table,
       relname AS name, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) ELSE '' END AS definition
  FROM ours WHERE relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT 'column', o.relname, a.attname,
       replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')
         || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
  FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
 WHERE o.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'trigger', o.relname, t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
  FROM ours o JOIN pg_trigger t ON t.tgrelid = o.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'index', o.relname, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
  FROM ours o JOIN pg_index i ON i.indrelid = o.oid
 WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
UNION ALL
SELECT 'constraint', o.relname, k.conname, pg_get_constraintdef(k.oid)
  FROM ours o JOIN pg_constraint k ON k.conrelid = o.oid WHERE k.contype IN ('c', 'f', 'p', 'u')
UNION ALL
SELECT 'function', '', p.oid::regprocedure::text, md5(p.prosrc)
  FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
ORDER BY 1, 2, 3

-- tables_of_schema --
-- The tables of the connection's own schema: how many rows the planner thinks they have (-1:
-- it never looked), what they take on disk, and the file that a rewrite would replace.
SELECT relname, reltuples::bigint, pg_total_relation_size(oid), pg_relation_filenode(oid)
  FROM pg_class
 WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
   AND relname NOT LIKE '%yoyo%'
 ORDER BY relname

-- count_table_rows --
-- How many rows a table holds; reads all of it.
SELECT count(*) FROM {table}

-- locks_of_this_transaction --
-- The table locks that this transaction holds, all of which it keeps until its end.
SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
 WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted
   AND c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
