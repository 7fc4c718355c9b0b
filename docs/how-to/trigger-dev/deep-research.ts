// The two tasks that research_fsm triggers: one for users' people, one for partners'.

import { task } from "@trigger.dev/sdk";
import { type Payload, type Profile, type Report, work } from "./callbacks.js";

/** Your pipeline. It must stop when the signal says so: by then nobody waits for the report. */
async function research(profile: Profile, signal: AbortSignal): Promise<Report> {
  signal.throwIfAborted();
  return { content: { about: profile["linkedin_url"] ?? null, findings: [] } };
}

function deepResearch<Id extends string>(id: Id) {
  return task({
    id,
    // A second attempt would be the same engine run, whose claim is accepted again. One is enough here: a run that
    // failed is started again by whoever asked for it.
    retry: { maxAttempts: 1 },
    // Seconds of computing, not of the clock. The clock's bound is the deadline that comes with the claim.
    maxDuration: 900,
    run: (payload: Payload, { ctx, signal }) => work(payload, ctx.run.id, signal, research),
  });
}

export const userDeepResearch = deepResearch("deep-research-enrich");
export const partnerDeepResearch = deepResearch("partner-deep-research-enrich");
