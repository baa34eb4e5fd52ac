// What people come for, from the first link to the last refusal, in each language and on both screens.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { harbour, serve, upstream } from "./serving.mjs";
import { NARROW, WIDE, inSight, menu, person, setUp, speak } from "./visiting.mjs";

// From the form with a document to the first answer a client gets: how many pages a person sees, and how
// long it all takes. To be lowered when publishing gets shorter, never raised.
const SCREENS_MAX = 3;
const SECONDS_MAX = 60;

const FINDING = "parameter-ref-unresolved";
const file = (text, name = "harbour.json") => ({ name, mimeType: "application/json", buffer: Buffer.from(text) });

export async function walks(browser) {
    for (const [tag, viewport] of [["en", WIDE], ["zh-CN", NARROW]]) {
        const api = await upstream({ "/ships": [{ name: "Vasa" }, { name: "Mars" }], "/ships/Vasa": { name: "Vasa", length: 69 } });
        const served = await serve("--allow-upstream", api.address);
        const { context, page, calm } = await person(browser, served, { viewport, locale: tag, permissions: ["clipboard-read", "clipboard-write"] });
        const say = speak(tag);
        await setUp(page, served, say);
        assert.equal(await page.locator("html").getAttribute("lang"), tag, "the language of the browser is the page's");
        const { client, screens, seconds } = await publish(page, say, api);
        await mend(page, say, api);
        await tryTool(page, say, api);
        await seeUsage(page, say);
        await revoke(page, say, client);
        calm();
        await withoutScripts(browser, served, { tag, viewport, say, api, state: await context.storageState() });
        console.log(`${tag} at ${viewport.width}: set up, publish (${screens} screens, ${seconds.toFixed(1)} s to the first call), mend, try, usage, revoke, and without scripts: ok`);
        await context.close();
        await served.stop();
        await api.stop();
    }
}

// A document becomes a server, and a client with the copied text calls it.
async function publish(page, say, api) {
    await (await menu(page, say)).getByRole("link", { name: say("frame-publish"), exact: true }).click();
    const began = performance.now();
    const seen = [await heading(page)];
    await page.waitForLoadState();
    page.on("domcontentloaded", () => seen.push(page.url()));
    await page.getByLabel(say("source-file"), { exact: true }).setInputFiles(file(harbour(api.url)));
    await page.getByRole("main").getByRole("button", { name: say("publish-next"), exact: true }).click();
    await review(page, say, FINDING);
    await notYet(page, "harbour");
    await page.getByRole("button", { name: say("review-publish"), exact: true }).first().click();
    await page.getByText(say("done-published"), { exact: true }).waitFor();
    await page.getByText(say("snippet-other"), { exact: true }).click();
    await page.getByLabel(say("label-name"), { exact: true }).fill("the harbour master");
    await page.getByRole("button", { name: say("keys-make"), exact: true }).click();
    // The client that was being read is still open, with the key in it.
    await page.getByText(say("connect-key-inside"), { exact: true }).waitFor();
    const snippet = page.locator("details[open]", { hasText: say("snippet-other") });
    await snippet.getByRole("button", { name: say("frame-copy"), exact: true }).click();
    await snippet.getByRole("button", { name: say("frame-copied"), exact: true }).waitFor();
    const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
    const client = await connect(copied.mcpServers.harbour);
    const answer = await client.callTool({ name: "getShip", arguments: { name: "Vasa" } });
    const seconds = (performance.now() - began) / 1000;
    page.removeAllListeners("domcontentloaded");
    assert.equal(answer.structuredContent?.length, 69, JSON.stringify(answer));
    assert.ok(seen.length <= SCREENS_MAX, `${seen.length} screens from the form to the first call: ${seen.join(", ")}`);
    assert.ok(seconds < SECONDS_MAX, `${seconds} s from the form to the first call`);
    return { client, screens: seen.length, seconds };
}

// What was read is shown before anybody can call it.
async function review(page, say, finding) {
    await page.getByRole("heading", { name: say("report-title"), exact: true }).waitFor();
    await page.getByText(say("report-warning")).click();
    await page.getByRole("main").getByText(finding, { exact: true }).waitFor();
    assert.equal(await page.getByLabel(say("review-name-named", { tool: "listShips" }), { exact: true }).inputValue(), "listShips");
}

async function notYet(page, slug) {
    const url = new URL(`/mcp/${slug}`, page.url());
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }) });
    assert.ok([401, 404].includes(answer.status), `a stranger is answered ${answer.status}`);
    const { servers } = await (await fetch(new URL("/api/v1/servers", page.url()))).json();
    assert.ok(!servers.some((server) => server.slug === slug), "for strangers there is no such server yet");
}

async function connect({ url, headers }) {
    const client = new Client({ name: "walks", version: "0" });
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "listShips"), "the tools of the document are listed");
    return client;
}

function heading(page) {
    return page.getByRole("heading", { level: 1 }).innerText();
}

async function tab(page, say, key) {
    await page.getByRole("navigation", { name: say("server-tabs"), exact: true }).getByRole("link", { name: say(key), exact: true }).click();
}

// One finding of the report is read, mended in the document, and gone from the next report.
async function mend(page, say, api) {
    await tab(page, say, "server-report");
    const finding = page.getByRole("main").getByText(FINDING, { exact: true });
    await page.getByText(say("report-warning")).click();
    await finding.waitFor();
    await tab(page, say, "settings-title");
    await page.getByLabel(say("source-file"), { exact: true }).setInputFiles(file(harbour(api.url, { mended: true })));
    await page.getByRole("button", { name: say("document-again"), exact: true }).click();
    await page.getByText(say("done-imported"), { exact: true }).waitFor();
    await tab(page, say, "server-report");
    await page.getByText(say("report-clean"), { exact: true }).waitFor();
    assert.equal(await finding.count(), 0, "what was mended is reported no more");
}

// A tool is looked at, asked for its request, and called.
async function tryTool(page, say, api) {
    await tab(page, say, "server-tools");
    await page.getByRole("link", { name: /^listShips/ }).click();
    const before = api.asked.length;
    await page.getByLabel("limit", { exact: true }).fill("2");
    await page.getByRole("button", { name: say("tool-dry-run"), exact: true }).click();
    await page.getByText(`${api.url}/ships?limit=2`, { exact: true }).waitFor();
    assert.equal(api.asked.length, before, "a dry run sends nothing");
    await page.getByRole("button", { name: say("tool-call"), exact: true }).click();
    await page.locator("#result").getByText("Mars").first().waitFor();
    assert.deepEqual(api.asked.slice(before), ["GET /ships?limit=2"]);
}

// The call of the client is among the calls that are added up. They are written in batches: the page is
// asked again until it is there, which a person does by reloading.
async function seeUsage(page, say) {
    await (await menu(page, say)).getByRole("link", { name: say("frame-usage"), exact: true }).click();
    const row = page.getByRole("row", { name: /the harbour master/ });
    for (let tries = 0; (await row.count()) === 0; tries += 1) {
        assert.ok(tries < 100, `the client's call is not on the usage page: ${await page.getByRole("main").innerText()}`);
        await page.getByRole("button", { name: say("usage-show"), exact: true }).click();
        await page.waitForLoadState();
    }
    const calls = row.first().getByRole("cell").first();
    assert.match(await calls.innerText(), /^1$/, "the client called once");
}

// A key that is revoked opens nothing, from the next request on.
async function revoke(page, say, client) {
    await (await menu(page, say)).getByRole("link", { name: say("frame-keys"), exact: true }).click();
    await page.getByRole("button", { name: say("keys-revoke-named", { name: "the harbour master" }), exact: true }).click();
    await page.getByText(say("done-revoked"), { exact: true }).waitFor();
    await assert.rejects(client.callTool({ name: "getShip", arguments: { name: "Vasa" } }), /401|key/i);
}

// The same without any script: upload, report, and upload again.
async function withoutScripts(browser, served, { tag, viewport, say, api, state }) {
    const { context, page, calm } = await person(browser, served, { viewport, locale: tag, javaScriptEnabled: false, storageState: state });
    await page.goto("/");
    await (await menu(page, say)).getByRole("link", { name: say("frame-publish"), exact: true }).click();
    await page.getByLabel(say("source-file"), { exact: true }).setInputFiles(file(harbour(api.url, { title: "Quiet harbour" })));
    await page.getByRole("main").getByRole("button", { name: say("publish-next"), exact: true }).click();
    await review(page, say, FINDING);
    await page.getByLabel(say("review-serve-named", { tool: "sinkShip" }), { exact: true }).uncheck();
    await page.getByLabel(say("review-name-named", { tool: "getShip" }), { exact: true }).fill("find_ship");
    await page.getByLabel(say("review-confirm-named", { tool: "addShip" }), { exact: true }).selectOption("human");
    await page.getByText(say("access-open"), { exact: true }).click();
    await page.getByRole("button", { name: say("review-publish"), exact: true }).first().click();
    await page.getByText(say("done-published"), { exact: true }).waitFor();
    const client = new Client({ name: "walks", version: "0" });
    await client.connect(new StreamableHTTPClientTransport(new URL("/mcp/quiet-harbour", page.url())));
    const names = (await client.listTools()).tools.map((tool) => tool.name).sort();
    assert.deepEqual(names, ["addShip", "find_ship", "listQuays", "listShips"], "the tools are as they were chosen");
    await client.close();
    await mend(page, say, api);
    await price(page, say);
    calm();
    await context.close();
}

// What a form of a long page came to is in sight afterwards, whether it was refused or not.
async function price(page, say) {
    await tab(page, say, "settings-title");
    for (const [dollars, role] of [["many", "alert"], ["0.5", "status"]]) {
        await page.getByLabel(say("settings-price-dollars"), { exact: true }).fill(dollars);
        await page.getByRole("button", { name: say("settings-price-save"), exact: true }).click();
        await inSight(page, page.locator(`#told[role=${role}]`));
    }
}
