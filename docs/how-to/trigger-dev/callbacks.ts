// What a deep research task says to the service that triggered it: that it takes the run, and how the run ended.
//
// Needs nothing but fetch. Three rules make any number of engine runs safe:
// 1. Claim before anything else, with the engine run's own id. The answer is the only place that names the person.
// 2. A 409 means: this run is not yours, or not any more. Stop, and return nothing.
// 3. Every callback may be repeated with the same content: it is done once, and answered the same.

export interface Payload {
  person_id: string;
  run_id: string;
  run_no: number;
  callback: { url: string; token: string };
}

export type Profile = Readonly<Record<string, unknown>>;

export interface Report {
  /** Any JSON up to 3 MiB. */
  content: unknown;
  change_summary?: unknown;
}

export type Research = (profile: Profile, signal: AbortSignal) => Promise<Report>;

/** What the task returns. If its callback is lost, the service reads the report from here. */
export interface Output extends Report {
  run_id: string;
  run_no: number;
}

interface Claim {
  profile: Profile;
  deadline: string;
}

/** Waiting times in milliseconds between the attempts of one callback. */
const PAUSES = [200, 1_000, 5_000, 15_000];
const TIMEOUT = 15_000;

class Rejected extends Error {}
class Stale extends Error {}

/**
 * Take the run, research the person, report.
 *
 * @param externalId The engine run's id: `ctx.run.id`.
 * @returns The report, or nothing if the run is not this engine run's.
 * @throws What the research threw, once the service knows of it.
 */
export async function work(
  payload: Payload,
  externalId: string,
  signal: AbortSignal,
  research: Research,
  pauses: readonly number[] = PAUSES,
): Promise<Output | undefined> {
  const tell = (what: string, members: object) => told(payload, what, { external_run_id: externalId, ...members }, pauses);
  try {
    const claim = (await tell("claim", {})) as Claim;
    const report = await researched(claim, signal, research, tell);
    return await completed(payload, report, tell);
  } catch (error) {
    if (error instanceof Stale) return undefined;
    throw error;
  }
}

type Tell = (what: string, members: object) => Promise<unknown>;

async function researched(claim: Claim, signal: AbortSignal, research: Research, tell: Tell): Promise<Report> {
  const left = Math.max(0, Date.parse(claim.deadline) - Date.now());
  try {
    return await research(claim.profile, AbortSignal.any([signal, AbortSignal.timeout(left)]));
  } catch (error) {
    return await failed(error, tell);
  }
}

async function completed(payload: Payload, report: Report, tell: Tell): Promise<Output> {
  try {
    await tell("complete", { content: report.content, change_summary: report.change_summary ?? null });
  } catch (error) {
    if (error instanceof Stale) throw error;
    // The service cannot keep this report, whoever brings it.
    if (error instanceof Rejected) return await failed(error, tell);
    // The service cannot be reached. It will ask the engine, and find the report in what the task returns.
  }
  return { run_id: payload.run_id, run_no: payload.run_no, ...report };
}

/** Say that the run failed; if that is not heard either, the service reads the engine run's status. */
async function failed(error: unknown, tell: Tell): Promise<never> {
  try {
    await tell("fail", { reason: String(error).slice(0, 2_000) });
  } catch (unheard) {
    if (unheard instanceof Stale) throw unheard;
  }
  throw error;
}

/** Say one thing until it is answered, a few times. */
async function told(payload: Payload, what: string, members: object, pauses: readonly number[]): Promise<unknown> {
  const body = JSON.stringify({ run_no: payload.run_no, ...members });
  for (const pause of [...pauses, undefined]) {
    const answer = await answered(`${payload.callback.url}/${what}`, payload.callback.token, body);
    if (answer?.ok) return await answer.json();
    if (answer?.status === 409) throw new Stale(what);
    // A 4xx will be answered the same again, but for those that ask for patience.
    const patient = answer === undefined || answer.status >= 500 || [408, 425, 429].includes(answer.status);
    if (!patient) throw new Rejected(`${what} was answered with HTTP ${answer.status}: ${await answer.text()}`);
    await answer?.body?.cancel();
    if (pause !== undefined) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Error(`${what} was not answered`);
}

async function answered(url: string, token: string, body: string): Promise<Response | undefined> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  try {
    return await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(TIMEOUT), redirect: "error" });
  } catch {
    return undefined; // No answer: it may have arrived or not, and may be repeated.
  }
}
