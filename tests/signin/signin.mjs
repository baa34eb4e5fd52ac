// `causeway serve` and oidc-provider, and a browser without a screen: it keeps cookies, follows redirects and
// refreshes, and fills in forms. What is looked at is what the browser ends up with.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const root = new URL('../..', import.meta.url).pathname;
const causeway = process.env.CAUSEWAY_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug', 'causeway');
const SECRET = 'a s3cret/with+signs%';
const ADMIN = 'an admin key of the sign-in tests';

const people = {
    ann: { email: 'ann@example.com', email_verified: true, preferred_username: 'ann', groups: ['makers'] },
    bob: { email: 'bob@elsewhere.example', email_verified: true, preferred_username: 'bob', groups: [] },
};

const folder = mkdtempSync(join(tmpdir(), 'causeway-signin-'));
const children = [];
const servers = [];

// The provider; it gets its client once there is a server with an address to come back to.
async function provider(settings) {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const op = new Provider(issuer, {
        findAccount: (_, id) => people[id] && ({ accountId: id, claims: async () => ({ sub: id, ...people[id] }) }),
        // Claims of scopes stand in the ID token, as most providers do it: userinfo is never asked.
        conformIdTokenClaims: false,
        claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'], groups: ['groups'] },
        scopes: ['openid', 'email', 'profile', 'groups'],
        pkce: { required: () => true },
        cookies: { keys: ['of the test'] },
        features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
        ...settings,
    });
    const paths = [];
    server.on('request', (request, response) => {
        paths.push(new URL(request.url, issuer).pathname);
        op.callback()(request, response);
    });
    return { issuer, op, paths };
}

// A browser: cookies by host and port, redirects, `refresh`, forms.
class Browser {
    jar = new Map();

    async visit(url, form, limit = 20) {
        assert.ok(limit > 0, 'redirects without end');
        const { host } = new URL(url);
        const cookies = this.jar.get(host) ?? new Map();
        this.jar.set(host, cookies);
        const response = await fetch(url, {
            method: form ? 'POST' : 'GET',
            body: form && new URLSearchParams(form),
            redirect: 'manual',
            headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        });
        for (const set of response.headers.getSetCookie()) {
            const [pair, ...flags] = set.split(';');
            const at = pair.indexOf('=');
            const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
            const ended = flags.some((flag) => /max-age=0$|expires=thu, 01 jan 1970/i.test(flag.trim()));
            if (value === '' || ended) cookies.delete(name);
            else cookies.set(name, value);
        }
        const to = response.headers.get('location');
        if (to) return this.visit(new URL(to, url).href, undefined, limit - 1);
        const page = { url, status: response.status, text: await response.text() };
        const refresh = page.text.match(/http-equiv="refresh" content="0;url=([^"]+)"/);
        return refresh ? this.visit(unescaped(refresh[1]), undefined, limit - 1) : page;
    }

    // Fills in the first form of a page that goes to an address that ends so.
    submit(page, action, fields = {}) {
        for (const [form, target] of page.text.matchAll(/<form[^>]*action="([^"]*)"[^>]*>[\s\S]*?<\/form>/g)) {
            const address = new URL(unescaped(target), page.url);
            if (!address.pathname.endsWith(action)) continue;
            const hidden = [...form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)];
            const values = Object.fromEntries(hidden.map(([, name, value]) => [name, unescaped(value)]));
            if (fields.do && values.do && values.do !== fields.do) continue;
            return this.visit(address.href, { ...values, ...fields });
        }
        assert.fail(`${page.url} has no form to ${action}: ${page.text}`);
    }

    cookie(url, name) {
        return this.jar.get(new URL(url).host)?.get(name);
    }
}

const unescaped = (text) => text.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n)).replace(/&amp;/g, '&');

// A server that people sign in to through the provider.
async function serve({ issuer, op }, lines, { client = {} } = {}) {
    const data = mkdtempSync(join(folder, 'data-'));
    const [config, secret] = [join(data, 'causeway.toml'), join(data, 'secret')];
    writeFileSync(secret, `${SECRET}\n`, { mode: 0o600 });
    writeFileSync(config, `[oidc]\nissuer = "${issuer}"\nclient_id = "causeway"\nclient_secret_file = "${secret}"\n${lines}`);
    const child = spawn(causeway, ['serve', '--json', '--no-demo', '--listen', '127.0.0.1:0', '--admin-key', ADMIN,
        '--config', config, '--data', join(data, 'data')], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let log = '';
    child.stderr.on('data', (text) => { log += text; });
    const line = await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'exit').then(() => [])]);
    assert.ok(line[0], `it ended at once: ${log}`);
    const url = JSON.parse(line[0]).url;
    const registered = {
        client_id: 'causeway', client_secret: SECRET, redirect_uris: [`${url}/login/oidc/callback`],
        response_types: ['code'], grant_types: ['authorization_code'], ...client,
    };
    // The package keeps clients that were given at its start; this one is told its redirect URI now.
    op.Client.find = async (id) => (id === registered.client_id ? new op.Client(registered) : undefined);
    return { url, log: () => log };
}

async function signIn(server, name) {
    const browser = new Browser();
    const login = await browser.visit(`${server.url}/login?next=/keys`);
    return { browser, page: await prove(browser, await browser.submit(login, '/login/oidc'), name) };
}

// At the provider: a name, and consent.
async function prove(browser, page, name) {
    assert.match(page.url, /\/interaction\//, page.text);
    page = await browser.submit(page, new URL(page.url).pathname, { login: name, password: 'any', prompt: 'login' });
    if (/\/interaction\//.test(page.url)) {
        page = await browser.submit(page, new URL(page.url).pathname, { prompt: 'consent' });
    }
    return page;
}

const account = (browser, server) => browser.visit(`${server.url}/account`);
const secrets = /eyJ[\w-]+\.|a s3cret/;

async function theWholeFlow(algorithm, client) {
    const settings = algorithm === 'ES256' ? { jwks: { keys: [elliptic()] } } : {};
    const idp = await provider(settings);
    const server = await serve(idp, 'label = "The Company"\nscopes = ["openid", "email", "profile", "groups"]\n'
        + 'role_claim = "groups"\npublisher_values = ["makers"]\ncreate_accounts = true\n', { client });
    const { browser, page } = await signIn(server, 'ann');
    assert.equal(new URL(page.url).pathname, '/keys', page.text);
    assert.equal(page.status, 200);
    const mine = await account(browser, server);
    assert.match(mine.text, /<b>ann<\/b> <span class="badge plain">Publisher/);
    assert.match(mine.text, /ann@example\.com/);
    assert.ok(!idp.paths.some((path) => path === '/me'), 'userinfo was asked');
    // The session is one like any other: it is listed, and ends.
    assert.match(mine.text, /name="do" value="end-session"/);
    const session = browser.cookie(server.url, 'causeway_session');
    const left = await browser.submit(mine, '/logout');
    assert.equal(new URL(left.url).pathname, '/login/oidc');
    assert.match(unescaped(left.text), /\/session\/end\?client_id=causeway/);
    browser.jar.get(new URL(server.url).host).set('causeway_session', session);
    assert.equal(new URL((await account(browser, server)).url).pathname, '/login', 'the session outlived its end');
    // Again, without being asked anything: the provider knows them.
    browser.jar.get(new URL(server.url).host).delete('causeway_session');
    const again = await browser.submit(await browser.visit(`${server.url}/login`), '/login/oidc');
    assert.equal(again.url, `${server.url}/`);
    assert.match((await account(browser, server)).text, /<b>ann<\/b>/);
    assert.doesNotMatch(server.log(), secrets);
}

function elliptic() {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'e1' };
}

async function whoIsNotLetIn() {
    const idp = await provider({});
    const server = await serve(idp, 'scopes = ["openid", "email"]\nemail_domains = ["example.com"]\n');
    const outside = await signIn(server, 'bob');
    assert.equal(outside.page.status, 403);
    assert.match(outside.page.text, /oidc\.email_domains/);
    const unknown = await signIn(server, 'ann');
    assert.equal(unknown.page.status, 403);
    assert.match(unknown.page.text, /no account here that is linked/);
    for (const { browser } of [outside, unknown]) {
        assert.equal(browser.cookie(server.url, 'causeway_session'), undefined);
    }
    // Somebody with a password links who they are, and is let in by it from then on.
    const made = await fetch(`${server.url}/api/v1/users`, {
        method: 'POST',
        headers: { 'x-api-key': ADMIN, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'anna', role: 'member', password: 'correct horse battery' }),
    });
    assert.equal(made.status, 201);
    const browser = new Browser();
    const login = await browser.visit(`${server.url}/login`);
    await browser.submit(login, '/login', { name: 'anna', password: 'correct horse battery' });
    const linking = await browser.submit(await account(browser, server), '/login/oidc', { do: 'link' });
    const linked = await prove(browser, linking, 'ann');
    assert.equal(linked.url, `${server.url}/account?done=linked`, linked.text);
    const then = await signIn(server, 'ann');
    assert.equal(new URL(then.page.url).pathname, '/keys', then.page.text);
    assert.match((await account(then.browser, server)).text, /<b>anna<\/b>/);
}

async function whatIsSetUpWrongly() {
    const idp = await provider({});
    // The provider does not accept the client's secret: the page says what to look at, and repeats nothing.
    const server = await serve(idp, 'create_accounts = true\n', { client: { client_secret: 'another secret' } });
    const { page, browser } = await signIn(server, 'ann');
    assert.equal(page.status, 502);
    assert.match(page.text, /oidc\.client_id/);
    assert.match(page.text, /invalid_client/);
    assert.doesNotMatch(page.text, secrets);
    assert.equal(browser.cookie(server.url, 'causeway_session'), undefined);
    // An issuer that is written in another way is another one.
    const slash = await serve({ ...idp, issuer: `${idp.issuer}/` }, '');
    const other = new Browser();
    const refused = await other.submit(await other.visit(`${slash.url}/login`), '/login/oidc');
    assert.equal(refused.status, 502);
    assert.match(refused.text, /a slash at its end/);
}

try {
    await theWholeFlow('RS256', {});
    await theWholeFlow('ES256', { id_token_signed_response_alg: 'ES256', token_endpoint_auth_method: 'client_secret_basic' });
    await whoIsNotLetIn();
    await whatIsSetUpWrongly();
    console.log('Signing in through oidc-provider: ok');
} finally {
    for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill();
        await once(child, 'exit');
    }
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
}
process.exit();
