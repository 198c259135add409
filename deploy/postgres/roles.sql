-- The roles of Pipewright: one that owns the schemas, and one a service, which sees its own schema alone.
--
--   psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -f deploy/postgres/roles.sql
--
-- as a superuser (or a role with CREATEROLE that owns the database), connected to the database of Pipewright, with the
-- passwords in the environment: PIPEWRIGHT_MIGRATOR_PASSWORD, PIPEWRIGHT_DEFINITION_PASSWORD,
-- PIPEWRIGHT_COORDINATOR_PASSWORD, PIPEWRIGHT_GATEWAY_PASSWORD. Safe to run again, also to change a password. What each
-- service may do with each table is granted by `pipewright migrate`, which runs as pipewright_migrator.
\getenv migrator PIPEWRIGHT_MIGRATOR_PASSWORD
\getenv definition PIPEWRIGHT_DEFINITION_PASSWORD
\getenv coordinator PIPEWRIGHT_COORDINATOR_PASSWORD
\getenv gateway PIPEWRIGHT_GATEWAY_PASSWORD

BEGIN;

SELECT format('CREATE ROLE %I', role)
  FROM unnest(ARRAY['pipewright_migrator', 'pipewright_definition', 'pipewright_coordinator', 'pipewright_gateway'])
       AS wanted (role)
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
\gexec

ALTER ROLE pipewright_migrator WITH LOGIN PASSWORD :'migrator';
ALTER ROLE pipewright_definition WITH LOGIN PASSWORD :'definition';
ALTER ROLE pipewright_coordinator WITH LOGIN PASSWORD :'coordinator';
ALTER ROLE pipewright_gateway WITH LOGIN PASSWORD :'gateway';

-- What hangs is ended by the server too, whatever its client says.
ALTER ROLE pipewright_definition SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE pipewright_coordinator SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE pipewright_gateway SET idle_in_transaction_session_timeout = '60s';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())
\gexec
SELECT format('GRANT CONNECT, CREATE ON DATABASE %I TO pipewright_migrator', current_database())
\gexec
SELECT format(
           'GRANT CONNECT ON DATABASE %I TO pipewright_definition, pipewright_coordinator, pipewright_gateway',
           current_database()
       )
\gexec

COMMIT;
