// The dashboard: shows what /api/v1/events tells, and puts storages into states. It holds no state of its own but the token, for
// as long as the tab lives, and never makes markup of text: names come from other machines.

const KEY = "sdgroup-token";
const AGAIN_MS = 2000;
const byId = (id) => document.getElementById(id);
let changing = null;
let listening = null;
let rates = new Map();

const text = (element, words) => {
  if (element.textContent !== words) element.textContent = words;
};

const show = (element, is) => {
  element.hidden = !is;
};

// As sdgroup writes sizes: 1.5 GB, decimal.
const size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let at = 0;
  while (bytes >= 1000 && at + 1 < units.length) {
    bytes /= 1000;
    at += 1;
  }
  return `${at === 0 ? bytes : bytes.toFixed(1)} ${units[at]}`;
};

const rate = (bytes) => `${size(bytes)}/s`;
const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
const clock = (moment) => new Date(moment).toLocaleTimeString([], { hour12: false });

const date = (moment) => new Date(moment).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false });

const length = (seconds) => {
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const [unit, word] = units.find(([unit]) => seconds >= unit) ?? [1, "s"];
  return `${Math.floor(seconds / unit)} ${word}`;
};

// Makes the children of `parent` those of `items`: one element for each key, kept as long as its item is there, so that focus and
// selection stay where they are.
const keep = (parent, items, key, make, fill) => {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = before.get(name);
    before.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(child, place);
    }
    fill(child, item);
  }
  for (const left of before.values()) left.remove();
};

const copyOf = (template) => byId(template).content.firstElementChild.cloneNode(true);

const make = (tag, name) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  return element;
};

// What is to be said of a storage in a word, and whether that is good.
const condition = (storage) => {
  if (storage.availability === "down") return ["down", "bad"];
  if (storage.state !== "ready") return [storage.state, "fair"];
  if (storage.ejected_seconds !== null) return ["ejected", "fair"];
  if (storage.too_full) return ["too full", "fair"];
  return storage.availability === "up" ? ["ready", "good"] : ["not probed yet", "fair"];
};

const note = (storage) => {
  const parts = [];
  if (storage.by !== null) {
    let line = `${storage.state} by ${storage.by}`;
    if (storage.reason) line += ` (${storage.reason})`;
    if (storage.until) line += ` until ${date(storage.until)}`;
    parts.push(line);
  }
  if (storage.ejected_seconds !== null) parts.push(`it failed jobs and gets none for ${storage.ejected_seconds} s`);
  if (storage.too_full) parts.push("it has reached its high water mark and gets no jobs that write");
  return parts.join("; ");
};

const fillMember = (element, storage) => {
  const part = (name) => element.querySelector(name);
  const [word, mood] = condition(storage);
  element.className = `member ${mood}`;
  text(part("h3"), storage.name);
  const state = part(".state");
  text(state, word);
  state.className = `state mood-${mood}`;
  const said = note(storage);
  text(part(".note"), said);
  show(part(".note"), said !== "");
  text(part(".trouble"), storage.trouble ?? "");
  show(part(".trouble"), storage.trouble !== null);
  const limit = storage.jobs_limit === null ? "" : ` of ${storage.jobs_limit}`;
  const reading = storage.reading_jobs > 0 ? ` (${storage.reading_jobs} read)` : "";
  text(part(".jobs"), `${storage.jobs}${limit}${reading}`);
  const known = storage.free_bytes !== null && storage.total_bytes > 0;
  text(part(".free"), known ? `${size(storage.free_bytes)} of ${size(storage.total_bytes)}` : "not told");
  show(part(".room"), known);
  if (known) {
    const used = Math.round(100 * (1 - storage.free_bytes / storage.total_bytes));
    const bar = part(".bar");
    bar.firstElementChild.style.width = `${used}%`;
    bar.setAttribute("aria-label", `${used}% of its room is used`);
    bar.classList.toggle("full", used >= 90);
  }
  text(part(".to"), rate(storage.to_storage_bytes_per_second));
  text(part(".from"), rate(storage.from_storage_bytes_per_second));
  const button = part(".change");
  button.setAttribute("aria-label", `Change the state of ${storage.name}`);
  button.onclick = () => openChange(storage);
};

const fillGroup = (element, group, storages) => {
  const part = (name) => element.querySelector(name);
  text(part("h2"), group.name);
  const shadow = group.shadow_policy ? `, asks ${group.shadow_policy} too` : "";
  text(part(".policy"), `by ${group.policy}${shadow}`);
  const usable = `${group.usable_storages} of ${counted(group.storages.length, "storage")} get jobs`;
  text(part(".numbers"), `${counted(group.jobs, "job")}, ${group.waiting_jobs} waiting, ${usable}`);
  part(".numbers").className = `numbers${group.usable_storages === 0 ? " mood-bad" : ""}`;
  text(part(".warning"), group.warning ?? "");
  show(part(".warning"), group.warning !== null);
  const members = group.storages.flatMap((name) => storages.filter((storage) => storage.name === name));
  keep(part(".members"), members, (storage) => storage.name, () => copyOf("member-template"), fillMember);
};

const progress = (job) => {
  if (job.waits) return `waits: storages are ${job.waits.cause}, ${job.waits.ahead} ahead`;
  return job.storage === null ? "begins" : "runs";
};

const whose = (job) => (job.process === undefined ? "" : ` in process ${job.process}`);

const fillJob = (row, job) => {
  const moved = size(job.to_storage_bytes + job.from_storage_bytes);
  const cells = [job.job_id, job.name, job.level, job.client, job.storage ?? "", progress(job) + whose(job), moved];
  cells.forEach((cell, at) => text(row.children[at], String(cell)));
};

const makeJob = () => {
  const row = make("tr");
  for (let at = 0; at < 7; at += 1) row.append(make("td", at === 6 ? "number" : ""));
  return row;
};

const makeNews = () => {
  const item = make("li");
  item.append(make("time"), make("span", "what"), make("span", "why"));
  return item;
};

const fillNews = (item, at, what, why) => {
  const [time, said, reason] = item.children;
  time.dateTime = at;
  time.title = at;
  text(time, clock(at));
  text(said, what);
  text(reason, why);
};

const fillPlacement = (item, news) => {
  const ended = news.ended === null ? "" : `: ${news.ended}`;
  fillNews(item, news.at, `Job ${news.job_id} ${news.name} → ${news.storage}${ended}`, news.reason ?? "");
};

const fillFailover = (item, news) => {
  fillNews(item, news.at, `Job ${news.job_id} ${news.name} left ${news.from}`, news.error);
};

const list = (id, items, key, make, fill) => {
  const parent = byId(id);
  keep(parent.tBodies?.[0] ?? parent, items, key, make, fill);
  show(byId(`no-${id}`), items.length === 0);
};

const fillPeer = (element, peer) => {
  const jobs = `${counted(peer.jobs, "job")}, ${peer.waiting_jobs} waiting`;
  const which = peer.is_this ? `${peer.name} (this one)` : `${peer.name} at ${peer.address}`;
  const lost = `not heard of for ${length(peer.silent_seconds)}: its jobs count no more`;
  text(element, `${which}: ${peer.is_alive ? jobs : lost}`);
  element.className = peer.is_alive ? "" : "mood-bad";
};

const showOverview = (overview) => {
  const { process, groups, storages } = overview;
  text(byId("name"), process.name);
  document.title = process.name;
  const age = (Date.parse(process.now) - Date.parse(process.started)) / 1000;
  const sum = `${counted(process.jobs, "job")}, ${counted(process.sessions, "session")}`;
  text(byId("process"), `${process.version}, ${process.phase}, up ${length(age)}, ${sum}`);
  keep(byId("obstacles"), process.obstacles, (line) => line, () => make("li"), text);
  const replaced = "The program has been replaced since it began: sdgroup handover starts the new one.";
  const predecessors = process.predecessors.map((one) =>
    `Process ${one.pid}, version ${one.version}, has handed over and has ${counted(one.jobs, "job")} yet.`);
  const remarks = [...process.remarks, ...(process.is_replaced ? [replaced] : []), ...predecessors];
  keep(byId("remarks"), remarks, (line) => line, () => make("li"), text);
  keep(byId("peers"), overview.peers, (peer) => peer.name, () => make("li"), fillPeer);
  keep(byId("groups"), groups, (group) => group.name, () => copyOf("group-template"), (element, group) =>
    fillGroup(element, group, storages));
  rates = new Map(storages.map((it) => [it.name, [it.to_storage_bytes_per_second, it.from_storage_bytes_per_second]]));
  const ofJob = (job) => `${job.director}/${job.job}`;
  list("jobs", overview.jobs, (job) => `${ofJob(job)}${whose(job)}`, makeJob, fillJob);
  show(byId("jobs").parentElement, overview.jobs.length > 0);
  list("placements", overview.placements, (news) => `${ofJob(news)}/${news.at}`, makeNews, fillPlacement);
  const number = new Map();
  const ofFailover = (news) => {
    const name = `${ofJob(news)}/${news.at}/${news.from}`;
    number.set(name, (number.get(name) ?? 0) + 1);
    return `${name}/${number.get(name)}`;
  };
  list("failovers", overview.failovers, ofFailover, makeNews, fillFailover);
};

// A line through the points, from the left to the right of a box that is 120 wide and 32 high.
const line = (points, most) => {
  const step = 120 / Math.max(points.length - 1, 1);
  const place = (bytes, at) => `${(at * step).toFixed(1)} ${(31 - (29 * bytes) / most).toFixed(1)}`;
  return points.map((bytes, at) => `${at === 0 ? "M" : "L"}${place(bytes, at)}`).join("");
};

const showTraffic = (traffic) => {
  for (const { storage, to_storage, from_storage } of traffic.storages) {
    // The point that has begun is as fast as it is now.
    const [toNow, fromNow] = rates.get(storage) ?? [0, 0];
    const [to, from] = [[...to_storage, toNow], [...from_storage, fromNow]];
    const most = Math.max(...to, ...from);
    const minutes = Math.max(1, Math.round((traffic.point_seconds * to_storage.length) / 60));
    for (const element of document.querySelectorAll(`.member[data-key="${CSS.escape(storage)}"]`)) {
      const part = (name) => element.querySelector(name);
      const scale = Math.max(most, 1);
      part(".line-to").setAttribute("d", line(to, scale));
      part(".line-from").setAttribute("d", line(from, scale));
      part(".area").setAttribute("d", to.length > 1 ? `${line(to, scale)}L120 32L0 32Z` : "");
      const words = most === 0 ? "nothing in the last hour" : `last ${counted(minutes, "minute")}, at most ${rate(most)}`;
      part("svg").setAttribute("aria-label", `${storage}: ${words}`);
      text(part("figcaption"), words);
    }
  }
};

const headers = () => ({ Authorization: `Bearer ${sessionStorage.getItem(KEY)}` });

const tellLink = (words) => {
  text(byId("link"), words);
  show(byId("link"), words !== "");
};

const askForToken = (error) => {
  listening?.abort();
  listening = null;
  sessionStorage.removeItem(KEY);
  show(byId("board"), false);
  show(byId("leave"), false);
  show(byId("login"), true);
  text(byId("login-error"), error);
  text(byId("process"), "");
  tellLink("");
  byId("token").focus();
};

// Takes the events out of a stream: EventSource cannot show a token.
const read = async (body) => {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (left + value).split("\n\n");
    left = events.pop();
    for (const event of events) {
      const field = (name) => event.split("\n").filter((row) => row.startsWith(name)).map((row) => row.slice(name.length));
      const [name] = field("event: ");
      const data = field("data: ").join("\n");
      if (name === "overview") showOverview(JSON.parse(data));
      if (name === "traffic") showTraffic(JSON.parse(data));
    }
  }
};

const listen = async () => {
  const mine = new AbortController();
  listening = mine;
  while (listening === mine) {
    try {
      const answer = await fetch("/api/v1/events", { headers: headers(), signal: mine.signal });
      if (answer.status === 401) return askForToken("That is not the token.");
      if (!answer.ok) throw new Error(`sdgroup answers ${answer.status}`);
      show(byId("login"), false);
      show(byId("board"), true);
      show(byId("leave"), true);
      tellLink("");
      await read(answer.body);
    } catch (error) {
      if (listening !== mine) return;
      tellLink(`Not connected since ${new Date().toLocaleTimeString([], { hour12: false })}; trying again`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
};

const openChange = (storage) => {
  changing = storage.name;
  const form = byId("change-form");
  text(byId("change-title"), `State of ${storage.name}`);
  text(byId("change-error"), "");
  form.reset();
  form.elements.state.value = storage.state;
  form.elements.by.value = localStorage.getItem("sdgroup-by") ?? "";
  byId("change").showModal();
  form.querySelector("input:checked")?.focus();
};

const change = async () => {
  const { state, by, reason, length } = byId("change-form").elements;
  const wanted = { state: state.value, by: by.value, reason: reason.value || null };
  if (length.value && state.value !== "ready") wanted.seconds = Number(length.value);
  const answer = await fetch(`/api/v1/storages/${encodeURIComponent(changing)}/state`, {
    method: "PUT",
    headers: { ...headers(), "Content-Type": "application/json" },
    body: JSON.stringify(wanted),
  });
  if (!answer.ok) throw new Error((await answer.json()).error);
  localStorage.setItem("sdgroup-by", by.value);
};

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, byId("token").value);
  byId("token").value = "";
  text(byId("login-error"), "");
  listen();
});

byId("leave").addEventListener("click", () => askForToken(""));
byId("change-cancel").addEventListener("click", () => byId("change").close());
byId("change-form").addEventListener("submit", (event) => {
  event.preventDefault();
  change().then(
    () => byId("change").close(),
    (error) => text(byId("change-error"), error.message),
  );
});

if (sessionStorage.getItem(KEY)) {
  listen();
} else {
  askForToken("");
}
