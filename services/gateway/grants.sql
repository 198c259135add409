-- What the gateway may do; a key is revoked, never removed.
GRANT USAGE ON SCHEMA gateway TO pipewright_gateway;
GRANT SELECT, INSERT, UPDATE ON gateway.api_keys TO pipewright_gateway;
