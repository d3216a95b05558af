// Fills a Questionnaire in as a person does, in the form that LHC-Forms makes of it in headless Chromium.
//
// node fill.mjs FOLDER CHROMIUM < request > answer. FOLDER has lforms/, playwright-core/ and form.html. Request:
// {"questionnaire", "subject", "width", "patience" (ms), "steps": [[linkId, verb, words]], "screenshot": file or ""}. The verbs:
// choose (a radio button or check box by its words), pick (from a drop-down list), write (in one's own words). Answer:
// {"response", "shown": {linkId: its text on the screen}, "overflow": pixels wider than the screen, "errors": what
// the page complained of}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(resolve(folder, "playwright-core"));
const { questionnaire, subject, width, patience, steps, screenshot } = JSON.parse(readFileSync(0, "utf8"));

const verbs = {
  choose: (item, words) => item.locator("label", { hasText: exactly(words) }).check(), // seen to be checked
  pick: async (item, words) => {
    await item.getByRole("combobox").pressSequentially(words);
    await item.page().locator("#completionOptions li", { hasText: words }).first().click();
  },
  write: async (item, words) => {
    const other = item.locator("label[id$='|_other']");
    if (await other.count()) {
      await other.click();
    }
    await item.locator("input[type=text]").fill(words);
    await item.page().keyboard.press("Tab");
  },
};

function exactly(words) {
  return new RegExp(`^\\s*${words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\s*$`);
}

function shown() {
  const items = [...document.querySelectorAll("lhc-item")].map((item) => [item.id.split("/")[0].slice(5), item.innerText]);
  return Object.fromEntries(items);
}

// What an answer shows or hides comes a moment later, by the clock of the page: on a busy machine that may be much later.
async function settled(page) {
  let before;
  let now = -1;
  do {
    before = now;
    await page.evaluate(() => new Promise((idle) => setTimeout(() => requestIdleCallback(idle), 300)));
    now = await page.locator("lhc-item").count();
  } while (now !== before);
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 150_000 });
try {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  page.setDefaultTimeout(150_000); // the machine may be busy with servers
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(pathToFileURL(resolve(folder, "form.html")).href);
  await page.waitForFunction(() => window.LForms?.Util?.addFormToPage && window.LForms.FHIR);
  await page.evaluate((asked) => LForms.Util.addFormToPage(asked, "form", { fhirVersion: "R4" }), questionnaire);
  page.setDefaultTimeout(patience);
  for (const [link, verb, words] of steps) {
    await verbs[verb](page.locator(`lhc-item[id^="item-${link}/"]`), words);
  }
  await settled(page);
  const answer = {
    response: await page.evaluate(
      (about) => LForms.Util.getFormFHIRData("QuestionnaireResponse", "R4", "#form", about ? { subject: about } : {}),
      subject,
    ),
    shown: await page.evaluate(shown),
    overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    errors,
  };
  if (screenshot) {
    await page.screenshot({ path: screenshot, fullPage: true });
  }
  process.stdout.write(JSON.stringify(answer));
} finally {
  await browser.close();
}
