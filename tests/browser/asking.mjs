// Two models asked the same thing side by side: both answers come piece by piece, and one is stopped while the other
// comes to its end.
import assert from "node:assert/strict";
import { manage, serve, talker } from "./serving.mjs";
import { menu, person, setUp, speak } from "./visiting.mjs";

export async function asking(browser) {
    const provider = await talker();
    const served = await serve();
    await manage(served, "PUT", "/providers/talker", {
        kind: "openai-compatible", parameters: { base_url: provider.url }, allowUpstream: [provider.address],
    });
    await manage(served, "PUT", "/providers/talker/keys/main", { value: "sk-of-the-talker-0000" });
    const say = speak("en");
    const { context, page, calm } = await person(browser, served);
    await setUp(page, served, say);
    await (await menu(page, say)).getByRole("link", { name: say("playground-title"), exact: true }).click();
    await page.getByRole("heading", { level: 1, name: say("playground-title"), exact: true }).waitFor();
    await page.waitForLoadState();
    await page.locator("#model-1").fill("talker/quick");
    await page.locator("#model-2").fill("talker/slow");
    await page.getByLabel(say("playground-message"), { exact: true }).fill("Say something.");
    await page.getByRole("button", { name: say("playground-send"), exact: true }).click();
    const card = (model) => page.locator("#answers article", { has: page.getByRole("heading", { name: model, exact: true }) });
    const [quick, slow] = [card("talker/quick"), card("talker/slow")];
    // Pieces are shown before there is an end.
    await quick.locator(".said[aria-busy]", { hasText: "quick" }).waitFor();
    await slow.locator(".said[aria-busy]", { hasText: "slow slow" }).waitFor();
    assert.equal(provider.state.open, 2, "both are asked at the same time");
    provider.finish();
    await quick.getByText(say("playground-tokens-out"), { exact: true }).waitFor();
    assert.match(await quick.locator(".said-well").innerText(), /^quick quick quick/);
    assert.equal(await slow.locator(".said[aria-busy]").count(), 1, "the other one goes on");
    await slow.getByRole("button", { name: say("playground-stop"), exact: true }).click();
    await slow.getByText(say("playground-stopped"), { exact: true }).waitFor();
    assert.match(await slow.locator(".said").last().innerText(), /^slow slow/, "what was heard stays");
    const stopped = performance.now();
    while (provider.state.open > 0) {
        assert.ok(performance.now() - stopped < 10_000, "the provider goes on");
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(await page.locator("#stop").isHidden(), "nothing is left to be stopped");
    calm();
    console.log("two models side by side, one stopped: ok");
    await context.close();
    await served.stop();
    await provider.stop();
}
