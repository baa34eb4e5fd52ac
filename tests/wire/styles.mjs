// The rows of tests/data/styles.json through swagger-client. Where it does otherwise than we do stands
// in styles-known.json with the reason, and is compared exactly. `styles.mjs --write` writes that file
// anew, keeping the reasons it has.
import { readFileSync, writeFileSync } from 'node:fs';
import Swagger from 'swagger-client';

const table = JSON.parse(readFileSync(new URL('../data/styles.json', import.meta.url)));
const listed = new URL('styles-known.json', import.meta.url);

function document(row) {
  const parameter = { ...row.parameter, name: 'color', in: row.in };
  const swagger = row.version === '2.0';
  if (!parameter.content && !parameter.schema && !swagger) parameter.schema = {};
  if (row.in === 'path') parameter.required = true;
  const path = row.path ?? (row.in === 'path' ? '/{color}' : '/');
  const paths = { [path]: { post: { operationId: 't', parameters: [parameter], responses: {} } } };
  const info = { title: 'T', version: '1' };
  if (swagger) {
    const consumes = ['application/x-www-form-urlencoded'];
    return { swagger: '2.0', info, host: 'h', schemes: ['https'], consumes, paths };
  }
  return { openapi: row.version, info, servers: [{ url: 'https://h' }], paths };
}

function sent(row, value) {
  let request;
  try {
    const spec = document(row);
    request = Swagger.buildRequest({ spec, operationId: 't', parameters: { color: value } });
  } catch (error) {
    return { refused: true };
  }
  const url = request.url.slice('https://h'.length);
  const at = url.indexOf('?');
  switch (row.in) {
    case 'path':
      return at < 0 ? url : url.slice(0, at);
    case 'query':
    case 'querystring':
      return at < 0 ? null : url.slice(at + 1);
    case 'header':
      return request.headers.color ?? null;
    case 'cookie':
      return request.headers.Cookie ?? null;
    default:
      return request.body === undefined ? null : String(request.body);
  }
}

const found = {};
let rows = 0;
for (const row of table.rows) {
  const cases = row.own ?? Object.entries(row.sends).map(([kind, expected]) => [table.values[kind], expected]);
  for (const [text, ours] of cases) {
    rows += 1;
    const theirs = sent(row, JSON.parse(text));
    if (JSON.stringify(theirs) !== JSON.stringify(ours)) {
      found[`${row.version} ${row.path ?? row.in} ${JSON.stringify(row.parameter)} ${text}`] = { ours, theirs };
    }
  }
}

const known = JSON.parse(readFileSync(listed));
if (process.argv[2] === '--write') {
  const lines = Object.entries(found).map(([name, what]) => {
    const entry = { ...what, reason: known[name]?.reason ?? 'TO SAY' };
    return ` ${JSON.stringify(name)}: ${JSON.stringify(entry)}`;
  });
  writeFileSync(listed, `{\n${lines.join(',\n')}\n}\n`);
}
const wrong = [];
for (const name of new Set([...Object.keys(found), ...Object.keys(known)])) {
  const { reason, ...before } = known[name] ?? {};
  if (JSON.stringify(found[name]) !== JSON.stringify(before) || !reason) {
    wrong.push(`${name}: now ${JSON.stringify(found[name])}, listed ${JSON.stringify(known[name])}`);
  }
}
console.log(`swagger-client: ${rows} rows, ${rows - Object.keys(found).length} alike, ${Object.keys(found).length} known to differ`);
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
