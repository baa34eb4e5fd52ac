// Every page, as everybody who may see it, in light and dark, narrow and wide: judged by axe, weighed, and
// kept as a picture under target/browser for whoever wants to look.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { doors } from "./doors.mjs";
import { harbour, manage, serve, target, upstream } from "./serving.mjs";
import { NARROW, PASSWORD, WIDE, overflow, person, setUp, signIn, speak } from "./visiting.mjs";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// What can differ between light and dark.
const OF_COLOUR = ["color-contrast", "link-in-text-block"];
// A page with its styles and scripts, as it travels.
const BYTES_MAX = 100_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PICTURES = join(target, "browser");

export async function pages(browser) {
    rmSync(PICTURES, { recursive: true, force: true });
    mkdirSync(PICTURES, { recursive: true });
    const api = await upstream({ "/ships": [{ name: "Vasa" }] });
    const served = await serve("--allow-upstream", api.address);
    const say = speak("en");
    const judged = { browser, served, faults: [], pictures: new Map(), looks: 0, heaviest: { bytes: 0 } };
    const first = await visitor(judged, "nobody");
    await look(judged, first, { path: served.setup.slice(served.url.length), name: "setup" });
    await first.context.close();

    const admin = await visitor(judged, "admin");
    await setUp(admin.page, served, say);
    const made = await furnish(served, api);
    const member = await visitor(judged, "member");
    await signIn(member.page, say, "mia");
    const nobody = await visitor(judged, "nobody");
    const all = doors(made);
    await look(judged, admin, { path: `/imports/${made.importing}`, name: "import running" });
    const visits = [admin, member, nobody].map(async (who) => {
        for (const door of all.filter(({ roles }) => roles.includes(who.role))) await look(judged, who, door);
    });
    await Promise.all(visits);
    await look(judged, member, { path: "/admin/users", refuses: true });
    await comesToLogin(nobody, all);
    await answers(judged, admin, say).catch((error) => judged.faults.push(error.message));
    for (const who of [admin, member, nobody]) who.calm();
    assert.deepEqual(judged.faults, [], `${judged.faults.length} faults:\n${judged.faults.join("\n")}`);
    const { path, bytes } = judged.heaviest;
    console.log(`${judged.looks} looks at ${all.length} addresses; the heaviest, ${path}, is ${bytes} bytes; pictures in ${PICTURES}`);
    for (const who of [admin, member, nobody]) await who.context.close();
    await served.stop();
    await api.stop();
}

async function visitor({ browser, served }, role) {
    const made = await person(browser, served, { locale: "en", permissions: ["clipboard-read", "clipboard-write"] });
    await made.context.addInitScript({ content: AXE });
    return { role, ...made };
}

// A catalog in which every page has something to show.
async function furnish(served, api) {
    const publish = (slug, more) => manage(served, "POST", "/servers", { slug, document: harbour(api.url, { title: slug }), ...more });
    await publish("harbour", { access: "key" });
    await publish("open-harbour", { access: "open" });
    await manage(served, "PUT", "/servers/harbour/document", JSON.parse(harbour(api.url, { title: "harbour", mended: true })));
    await manage(served, "PUT", "/servers/open-harbour/tools/sinkShip/curation", { confirm: "human" });
    await manage(served, "POST", "/keys", { name: "the harbour master" });
    await manage(served, "PUT", "/plans/small", { description: "For a try.", limits: [{ unit: "requests", amount: 1000, window: "day", scope: "consumer" }] });
    await manage(served, "PUT", "/consumers/the%20harbour%20master/plans/harbour", { plan: "small" });
    await manage(served, "PATCH", "/consumers/the%20harbour%20master", { limits: [{ unit: "money", amount: 5000000, window: "month", scope: "consumer" }] });
    await furnishModels(served, api);
    const { link: invite } = await manage(served, "POST", "/users", { name: "noah", role: "publisher" });
    await manage(served, "POST", "/users", { name: "olga", role: "member" });
    await manage(served, "POST", "/users", { name: "mia", role: "member", password: PASSWORD });
    const { link: reset } = await manage(served, "POST", "/users/olga/reset");
    for (const tool of ["listShips", "getShip", "sinkShip"]) await call(served, tool);
    const [imported, failed, importing] = await imports(served, api);
    const index = await (await fetch(`${served.url}/docs`)).text();
    const guides = [...new Set([...index.matchAll(/href="(\/docs\/[a-z-]+)"/g)].map(([, path]) => path))];
    assert.ok(guides.length > 10, "the guides were found");
    const at = (link) => link.slice(served.url.length);
    return { invite: at(invite), reset: at(reset), imported, failed, importing, guides };
}

// Providers with keys, one of which stayed behind when its provider moved, and models of every shape.
async function furnishModels(served, api) {
    const provider = (name, kind, base) => manage(served, "PUT", `/providers/${name}`, { kind, parameters: base && { base_url: base }, allowUpstream: base && [api.address] });
    const key = (name, key, value) => manage(served, "PUT", `/providers/${name}/keys/${key}`, { value });
    const model = (name, body) => manage(served, "PUT", `/models/${encodeURIComponent(name)}`, body);
    api.says["/v1/models"] = { data: [{ id: "lamp-large" }, { id: "lamp-small" }] };
    await provider("lighthouse", "openai-compatible", `${api.url}/v1`);
    for (const name of ["main", "spare"]) await key("lighthouse", name, `sk-of-the-lighthouse-${name}`);
    await provider("moved", "openai", "https://before.example/v1");
    await key("moved", "main", "sk-from-before-the-move");
    await provider("moved", "openai", "https://after.example/v1");
    await provider("fresh", "vertex-anthropic").catch(() => provider("fresh", "anthropic"));
    const targets = [
        { provider: "lighthouse", model: "lamp-large", weight: 9 },
        { provider: "moved", model: "accounts/lamps/models/a-lamp-with-a-very-long-name-405b" },
        { provider: "fresh", model: "spare-lamp", weight: 0 },
        { provider: "fresh", tier: 1 },
    ];
    const limits = [{ unit: "money", amount: 20000000, window: "month", scope: "server" }, { unit: "tokens", amount: 50000, window: "minute", scope: "key" }];
    await model("lamp-*", { targets: [{ provider: "lighthouse" }] });
    await model("harbour/pilot", { targets, limits, onExhaust: { downgrade: "lamp-small" } });
    await model("tried", {
        targets: [{ provider: "lighthouse", model: "lamp-large" }],
        canary: { name: "small", targets: [{ provider: "lighthouse", model: "lamp-small" }], share: 5000, rollback: { errors: 500, calls: 50, seconds: 900 } },
        shadow: { target: { provider: "lighthouse", model: "lamp-large" }, share: 1000 },
    });
    const answer = { index: 0, message: { role: "assistant", content: "Light." }, finish_reason: "stop" };
    const usage = { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 };
    api.says["/v1/chat/completions"] = { id: "c", object: "chat.completion", created: 1, model: "lamp", choices: [answer], usage };
    const { key: caller } = await manage(served, "POST", "/keys", { name: "who tries" });
    for (let n = 0; n < 4; n += 1) {
        const asked = await fetch(`${served.url}/v1/chat/completions`, {
            method: "POST", headers: { authorization: `Bearer ${caller}` },
            body: JSON.stringify({ model: "tried", messages: [{ role: "user", content: "Hi." }] }),
        });
        assert.equal(asked.status, 200, await asked.text());
    }
}

// An import that went well, one that failed, and one that goes on. The server answers with an import to
// follow once the document has kept it waiting for some seconds.
async function imports(served, api) {
    const documents = ["/fine.json", "/none.json", "/held.json"];
    api.says["/fine.json"] = harbour(api.url, { title: "Imported" });
    for (const path of documents) api.hold(path);
    const begun = documents.map((path, index) => manage(served, "POST", "/servers", { slug: `imported-${index}`, url: api.url + path }));
    const ids = (await Promise.all(begun)).map(({ id }) => id);
    for (const path of documents.slice(0, 2)) api.release(path);
    for (const id of ids.slice(0, 2)) await ended(served, id);
    return ids;
}

// Anybody's call of an open tool.
async function call(served, name) {
    const answer = await fetch(`${served.url}/mcp/open-harbour`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: name === "listShips" ? {} : { name: "Vasa" } } }),
    });
    assert.equal(answer.status, 200, await answer.text());
}

// Asks until an import is over; the server answers each time with how far it is.
async function ended(served, id) {
    for (let tries = 0; (await manage(served, "GET", `/imports/${id}`)).state === "running"; tries += 1) {
        assert.ok(tries < 300, `the import ${id} does not end`);
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

// Opens a page and judges it.
async function look(judged, who, door) {
    const answer = await who.page.goto(door.path);
    const fine = door.refuses ? answer.status() < 500 : answer.status() === 200;
    if (!fine) judged.faults.push(`${door.path} as ${who.role}: status ${answer.status()}`);
    await judge(judged, who, door);
}

// Judges what is shown, with all that can be unfolded.
async function judge(judged, { page, role }, { path, name = path }) {
    const here = `${name} as ${role}`;
    const file = picture(judged, `${role}-${name}`);
    const bytes = await page.evaluate(() => {
        const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
        return all.filter((entry) => !entry.name.includes("/connect/status")).reduce((sum, entry) => sum + entry.encodedBodySize, 0);
    });
    if (bytes > judged.heaviest.bytes) judged.heaviest = { bytes, path: here };
    if (bytes > BYTES_MAX || bytes === 0) judged.faults.push(`${here}: weighs ${bytes} bytes`);
    if (role !== "member") await keep(page, join(PICTURES, file));
    await unfold(page);
    for (const viewport of [NARROW, WIDE]) {
        await page.setViewportSize(viewport);
        const wider = await overflow(page);
        if (wider > 0) judged.faults.push(`${here} at ${viewport.width}: ${wider} pixels wider than the screen`);
        for (const colorScheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme });
            judged.looks += 1;
            const found = await page.evaluate(inspect, colorScheme === "light" ? { type: "tag", values: RULES } : { type: "rule", values: OF_COLOUR });
            for (const fault of found) judged.faults.push(`${here} at ${viewport.width}, ${colorScheme}: ${fault}`);
        }
    }
}

// What the pictures of a page are called: the same in every run, and each once.
function picture({ pictures }, name) {
    const plain = name.replace(/[0-9a-f-]{32,}/g, "id").replace(/[^a-z0-9]+/gi, "-").replace(/-$/, "").slice(0, 70);
    const seen = (pictures.get(plain) ?? 0) + 1;
    pictures.set(plain, seen);
    return seen === 1 ? plain : `${plain}-${seen}`;
}

// The pictures of a page as it comes.
async function keep(page, file) {
    for (const viewport of [NARROW, WIDE]) {
        await page.setViewportSize(viewport);
        for (const colorScheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme });
            await page.screenshot({ path: `${file}-${viewport.width}-${colorScheme}.jpg`, type: "jpeg", quality: 85, fullPage: true });
        }
    }
}

// Opens everything that is folded, also what is opened one at a time.
function unfold(page) {
    return page.evaluate(() => {
        for (const details of document.querySelectorAll("details")) {
            details.removeAttribute("name");
            details.open = true;
        }
    });
}

// In the page: what axe says, a line for each.
async function inspect(runOnly) {
    const { violations } = await globalThis.axe.run(document, { runOnly, resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

// Whoever is not signed in is sent to do so, from every page that asks for it.
async function comesToLogin({ page }, all) {
    for (const { path } of all.filter(({ closed }) => closed)) {
        await page.goto(path);
        assert.equal(new URL(page.url()).pathname, "/login", `${path} is shown to nobody in particular`);
    }
}

// The pages that forms answer with.
async function answers(judged, who, say) {
    const { page } = who;
    const press = (key) => page.getByRole("main").getByRole("button", { name: say(key), exact: true }).click();
    const shown = async (name, locator) => {
        await locator.first().waitFor();
        await judge(judged, who, { path: name });
    };
    await page.goto("/servers/harbour/tools/listShips");
    await press("tool-call");
    await shown("answer: call", page.getByText(say("trace-succeeded")));
    await press("tool-dry-run");
    await shown("answer: dry run", page.getByText(say("trace-would-send")));
    await page.goto("/servers/harbour/tools/getShip");
    await press("tool-call");
    await shown("answer: argument missing", page.getByRole("alert"));
    await page.goto("/servers/open-harbour/tools/sinkShip");
    await page.getByLabel("name", { exact: true }).fill("Vasa");
    await press("tool-call");
    await shown("answer: tool asks", page.getByText(say("tool-asks")));
    await page.goto("/servers/harbour/connect");
    await page.getByLabel(say("label-name"), { exact: true }).fill("a sailor");
    await press("keys-make");
    await shown("answer: connect with a key", page.getByText(say("connect-key-inside")));
    await page.goto("/keys");
    await page.getByLabel(say("label-name"), { exact: true }).first().fill("another");
    await press("keys-make");
    await shown("answer: key", page.getByText(say("keys-copy-now")));
    await page.goto("/publish");
    await page.getByLabel(say("label-document"), { exact: true }).fill("no document at all");
    await press("publish-next");
    await shown("answer: refused document", page.getByRole("alert"));
    await page.goto("/admin/provider-kinds/openai");
    await page.getByLabel(say("label-name"), { exact: true }).fill("No Name");
    await press("providers-make");
    await shown("answer: refused provider", page.getByRole("alert"));
    await page.goto("/admin/providers/lighthouse");
    await press("providers-test-do");
    await shown("answer: provider tested", page.locator("#told[role=status]"));
    await page.goto("/admin/models/harbour%2Fpilot");
    await page.getByLabel(`${say("models-weight")} 2`, { exact: true }).fill("5000");
    await press("models-targets-save");
    await shown("answer: refused target", page.locator("#told[role=alert]"));
    await page.goto("/account");
    await press("codes-begin");
    await shown("answer: a device", page.getByText(say("codes-scan")));
}
