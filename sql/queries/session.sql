-- What a connection is set to, and the lock of an account.

-- prepare_session --
-- Settings of every new connection. A dead worker's lock is freed when its connection is found
-- dead: the keepalives below find that within about 90 seconds, also when the machine is gone.
SELECT set_config('TimeZone', 'UTC', false),
       set_config('DateStyle', 'ISO, YMD', false),
       set_config('lock_timeout', '60s', false),
       set_config('statement_timeout', '15min', false),
       set_config('idle_in_transaction_session_timeout', '5min', false),
       set_config('idle_session_timeout', '2h', false),
       set_config('tcp_keepalives_idle', '60', false),
       set_config('tcp_keepalives_interval', '10', false),
       set_config('tcp_keepalives_count', '3', false)

-- prepare_account_session --
-- Memory for the few sessions that stage and merge: sorts and stages stay off the disk.
SELECT set_config('work_mem', '64MB', false), set_config('temp_buffers', '64MB', false)

-- read_clock --
-- The server's time. Reads are dated by it, whatever the clocks of the hosts say.
SELECT clock_timestamp()

-- set_virtual_time --
-- Passes a test's or demo's clock on to adsync_now().
SELECT set_config('adsync.now', %(now)s, false)

-- try_lock_account --
-- Takes the account's session lock if it is free. Postgres frees it when the session ends.
SELECT pg_try_advisory_lock(hashtextextended('adsync:account:' || %(ad_account_id)s::uuid::text, 0))

-- lock_account --
-- Waits for the account's session lock, at most lock_timeout.
SELECT pg_advisory_lock(hashtextextended('adsync:account:' || %(ad_account_id)s::uuid::text, 0))

-- unlock_account --
-- Frees the account's session lock; true when it was held and the session holds no other one.
-- Closing the connection frees it too, but only when the server has noticed, and whoever comes
-- next would find the account busy until then. CASE looks at the rest only after the unlocking.
SELECT CASE WHEN pg_advisory_unlock(hashtextextended('adsync:account:' || %(ad_account_id)s::uuid::text, 0))
            THEN NOT EXISTS (SELECT FROM pg_locks
                              WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted)
            ELSE false END

-- holds_account_lock --
-- Whether this very session of the server holds the account's lock. A pooler that hands out
-- another session per transaction is found out here, before anything is written.
SELECT EXISTS (
  SELECT FROM pg_locks
   WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
     AND (classid::bigint << 32 | objid::bigint)
         = hashtextextended('adsync:account:' || %(ad_account_id)s::uuid::text, 0))

-- set_lock_timeout --
-- Bounds the wait for the account's lock.
SELECT set_config('lock_timeout', %(milliseconds)s, false)

-- reset_lock_timeout --
-- Back to the bound of ordinary work once the account's lock is held.
SELECT set_config('lock_timeout', '60s', false)

-- list_databases --
-- The databases of the embedded server.
SELECT datname FROM pg_database

-- create_database --
-- Creates a database of the embedded server; cannot run in a transaction.
CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'
