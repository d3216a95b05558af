// npm's oidc-provider as the authorization server of SMART Backend Services; it ends with its standard input.
// Arguments: folder of the packages, port, seconds that a token lasts, seconds that one of a client called brief-... does,
// file with the public keys of the clients: each key has one of either kind.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, port, life, brief, keys] = process.argv.slice(2);
const packages = createRequire(join(folder, 'package.json'));
const { Provider } = await import(pathToFileURL(packages.resolve('oidc-provider')));
const scopes = ['Patient', 'Observation', 'Provenance'].map((type) => `system/${type}.crus`);
const algorithms = ['RS384', 'ES384'];

const keyed = JSON.parse(readFileSync(keys)).keys.flatMap((key) => ['plan', 'brief'].map((name) => [name, key]));
const clients = keyed.map(([name, key]) => ({
  client_id: `${name}-${key.alg}`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  scope: scopes.join(' '),
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: key.alg,
  jwks: { keys: [key] },
}));

const resource = 'urn:hie';
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients,
  scopes,
  enabledJWA: { clientAuthSigningAlgValues: algorithms },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    // A token for a resource is a JWT, whose end the guard of the HIE can read.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, _resource, client) => ({
        scope: scopes.join(' '),
        audience: resource,
        accessTokenTTL: Number(client.clientId.startsWith('brief') ? brief : life),
        accessTokenFormat: 'jwt',
      }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1');
process.stdin.on('end', () => process.exit(0)).resume();
