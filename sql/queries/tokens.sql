-- platform_tokens: ciphertext in, ciphertext out.

-- store_token --
-- Keeps an account's encrypted credential (or, without an account, the platform's default one).
INSERT INTO platform_tokens AS t (platform, platform_account_id, key_version, wrapped_key, ciphertext)
VALUES (%(platform)s, %(platform_account_id)s, %(key_version)s, %(wrapped_key)s, %(ciphertext)s)
ON CONFLICT (platform, platform_account_id) DO UPDATE
   SET key_version = excluded.key_version, wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext,
       updated_at = adsync_now()

-- load_token --
-- The account's own credential, else the platform's default one.
SELECT platform_account_id, key_version, wrapped_key, ciphertext
  FROM platform_tokens
 WHERE platform = %(platform)s
   AND (platform_account_id = %(platform_account_id)s OR platform_account_id IS NULL)
 ORDER BY platform_account_id NULLS LAST
 LIMIT 1

-- delete_token --
-- Forgets a credential.
DELETE FROM platform_tokens
 WHERE platform = %(platform)s AND platform_account_id IS NOT DISTINCT FROM %(platform_account_id)s

-- tokens_of_other_keys --
-- Credentials that are not yet encrypted under the present key, locked until they are.
SELECT platform, platform_account_id, key_version, wrapped_key, ciphertext
  FROM platform_tokens
 WHERE key_version <> %(key_version)s
 ORDER BY platform, platform_account_id
   FOR UPDATE

-- replace_token --
-- Puts a re-encrypted credential in the place of the one that was read.
UPDATE platform_tokens
   SET key_version = %(key_version)s, wrapped_key = %(wrapped_key)s, ciphertext = %(ciphertext)s,
       updated_at = adsync_now()
 WHERE platform = %(platform)s AND platform_account_id IS NOT DISTINCT FROM %(platform_account_id)s
   AND key_version = %(old_key_version)s
