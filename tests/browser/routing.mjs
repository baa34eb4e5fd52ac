// From an empty list of providers to an answer of a copied text, and the same text answered by another provider
// after one edit: in each language, with scripts on a wide screen, and without any on a narrow one.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { provider, serve } from "./serving.mjs";
import { NARROW, WIDE, administer, inSight, menu, person, setUp, speak } from "./visiting.mjs";

const MODEL = "alpha-large";
const run = promisify(execFile);

export async function routing(browser) {
    for (const [tag, viewport, javaScriptEnabled] of [["en", WIDE, true], ["zh-CN", NARROW, false]]) {
        const first = await provider("first", "sk-of-the-first-1111", ["alpha-embed", MODEL]);
        const second = await provider("second", "sk-of-the-second-2222", [MODEL]);
        const served = await serve();
        const { context, page, calm } = await person(browser, served, { viewport, locale: tag, javaScriptEnabled, permissions: ["clipboard-read", "clipboard-write"] });
        const say = speak(tag);
        await setUp(page, served, say);
        await administer(page, say, "frame-providers");
        await add(page, say, first);
        await refusesKey(page, say);
        await giveKey(page, say, first);
        await page.getByRole("button", { name: say("providers-serve-named", { model: MODEL }), exact: true }).click();
        await told(page, say("done-model-made"));
        const text = await copied(page, say, javaScriptEnabled);
        assert.ok(text.includes(`${served.url}/v1/chat/completions`), text);
        const key = await makeKey(page, say);
        assert.equal(await answer(text, key), "I am first.");
        await administer(page, say, "frame-providers");
        await add(page, say, second);
        await giveKey(page, say, second);
        await lead(page, say, second);
        assert.equal(await answer(text, key), "I am second.", "the same text is answered by the other provider");
        assert.deepEqual([first.asked, second.asked], [[MODEL], [MODEL]]);
        await refuses(page, say);
        calm();
        console.log(`${tag} at ${viewport.width}${javaScriptEnabled ? "" : ", without scripts"}: a provider, its key, a copied text, and the other provider: ok`);
        await context.close();
        await served.stop();
        await first.stop();
        await second.stop();
    }
}

// What a form came to is beside it, and in sight.
async function told(page, text, role = "status") {
    await inSight(page, page.locator(`#told[role=${role}]`, { hasText: text }));
}

// From the list, which has one next thing to do, through the kinds to the page of the provider.
async function add(page, say, { name, address, url }) {
    await page.getByRole("main").getByRole("link", { name: say("providers-add"), exact: true }).click();
    await page.getByRole("link", { name: say("kinds-any"), exact: true }).click();
    await page.getByLabel(say("label-name"), { exact: true }).fill(name);
    await page.getByLabel("base_url", { exact: true }).fill(url);
    await page.getByText(say("providers-elsewhere"), { exact: true }).click();
    await page.getByLabel(say("label-allow-upstream"), { exact: true }).fill(address);
    await page.getByRole("button", { name: say("providers-make"), exact: true }).click();
    await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
}

async function saveKey(page, say, value) {
    await page.getByLabel(say("providers-key"), { exact: true }).fill(value);
    const name = page.getByLabel(say("providers-key-name"), { exact: true });
    if ((await name.inputValue()) === "") await name.fill("main");
    await page.getByRole("button", { name: say("providers-key-save"), exact: true }).click();
}

// A key that the provider does not take is kept, and what the provider says of it is shown.
async function refusesKey(page, say) {
    await saveKey(page, say, "sk-of-somebody-else-9999");
    await told(page, "that key is none of ours", "alert");
}

// The right one takes its place, and is never shown again.
async function giveKey(page, say, { name, key }) {
    await saveKey(page, say, key);
    await told(page, say("providers-key-tested", { said: "" }).trim());
    const html = await page.content();
    assert.ok(!html.includes(key) && html.includes(key.slice(-4)), `${name}: of the key, only the ending is shown`);
}

async function copied(page, say, hasScripts) {
    const snippet = page.locator("details[open]", { hasText: "curl" });
    if (!hasScripts) return snippet.locator("pre > code").innerText();
    await snippet.getByRole("button", { name: say("frame-copy"), exact: true }).click();
    await snippet.getByRole("button", { name: say("frame-copied"), exact: true }).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
}

async function makeKey(page, say) {
    await (await menu(page, say)).getByRole("link", { name: say("frame-keys"), exact: true }).click();
    await page.getByLabel(say("label-name"), { exact: true }).first().fill("an application");
    await page.getByRole("button", { name: say("keys-make"), exact: true }).click();
    return page.locator(".created .endpoint > code").innerText();
}

// What a terminal says to the text, with the key in its place.
async function answer(text, key) {
    const { stdout } = await run("sh", ["-c", text.replace("YOUR_KEY", key)]);
    const { choices } = JSON.parse(stdout);
    assert.ok(choices, stdout);
    return choices[0].message.content;
}

// One field of the model's page is another, and nothing else.
async function lead(page, say, { name }) {
    await administer(page, say, "frame-models");
    await page.getByRole("main").getByRole("link", { name: MODEL, exact: true }).click();
    const target = page.getByLabel(`${say("models-provider")} 1`, { exact: true });
    assert.equal(await target.inputValue(), "first");
    await target.selectOption(name);
    await page.getByRole("button", { name: say("models-targets-save"), exact: true }).click();
    await told(page, say("done-saved"));
    const picture = page.getByRole("img", { name: say("models-picture", { name: MODEL }) });
    assert.match(await picture.textContent(), /second/, "the drawing shows where it leads now");
}

// What cannot be is said of its field, beside the form, and nothing that was entered is lost.
async function refuses(page, say) {
    const weight = page.getByLabel(`${say("models-weight")} 1`, { exact: true });
    await weight.fill("5000");
    await page.getByRole("button", { name: say("models-targets-save"), exact: true }).click();
    await told(page, say("models-weight"), "alert");
    assert.equal(await weight.inputValue(), "5000");
    assert.equal(await weight.getAttribute("aria-invalid"), "true");
}
