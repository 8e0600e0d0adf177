// The official library, measured inside Node: a JSON-lines process like oracle.mjs, so that no line and no JSON is in a
// figure. What is: the library's public API with its promises and its way from native code to the stores and back, and
// stores that do as little as stores can. "held": they keep the library's own objects; otherwise bytes, read and written
// each time. Commands: measure {op, held, count} -> per operation ns, ns of all threads' processors, store calls; sizes;
// version.
import readline from 'node:readline';
import { S, packageVersion } from './libsignal.mjs';
import { operations as sealed } from './bench-sealed.mjs';
import { Party, TEXT, Stores, meet, talk } from './bench-stores.mjs';

const DISTRIBUTION = 'd1d1d1d1-7000-11eb-b32a-33b8a8a487a6';
const KEPT = 2000;

// Times `act` for 0..count, after `before`, whose result it is given.
const timed = (before, act) => async ({ held, count }) => {
  const it = await before(held, count);
  Stores.calls = 0;
  const busy = process.cpuUsage();
  const began = process.hrtime.bigint();
  for (let i = 0; i < count; i++) await act(it, i);
  const took = process.hrtime.bigint() - began;
  const { user, system } = process.cpuUsage(busy);
  return { ns: Number(took) / count, cpu: 1000 * (user + system) / count, calls: Stores.calls / count };
};

// What is prepared once: messages take long to make.
const once = (make) => {
  const made = new Map();
  return async (...key) => {
    const name = key.join();
    if (!made.has(name)) made.set(name, await make(...key));
    return made.get(name);
  };
};

const firsts = once(async (count) => {
  const bob = Party.fresh('bob');
  const bundle = await bob.bundle();
  const messages = [];
  for (let i = 0; i < count; i++) {
    const alice = Party.fresh('alice');
    await alice.begin(bundle, bob);
    messages.push(await alice.send(TEXT));
  }
  return { bob: bob.dump(), messages };
});

// Bob's state, and messages for him of which he has not opened the first `skip`, but the one behind them.
const letters = once(async (count, skip) => {
  const [alice, bob] = await meet();
  const messages = [];
  for (let i = 0; i <= count + skip; i++) messages.push(await alice.send(TEXT));
  await bob.receive(messages[skip]);
  return { bob: bob.dump(), messages: messages.slice(skip + 1) };
});

const group = once(async (count, skip) => {
  const [alice, bob] = [Party.fresh('alice'), Party.fresh('bob')];
  const told = await S.SenderKeyDistributionMessage.create(alice.address, DISTRIBUTION, alice.stores);
  await S.processSenderKeyDistributionMessage(alice.address, told, bob.stores);
  const messages = [];
  for (let i = 0; i <= count + skip; i++) {
    messages.push((await S.groupEncrypt(alice.address, DISTRIBUTION, alice.stores, TEXT)).serialize());
  }
  await S.groupDecrypt(alice.address, bob.stores, messages[skip]);
  return { told, sender: alice.address, alice: alice.dump(), bob: bob.dump(), messages: messages.slice(skip + 1) };
});

const opens = (skip) => timed(
  async (held, count) => {
    const { bob, messages } = await letters(count, skip);
    return { bob: Party.load(bob, held), messages };
  },
  ({ bob, messages }, i) => bob.receive(messages[i]));

const opensInGroup = (skip) => timed(
  async (held, count) => {
    const { sender, bob, messages } = await group(count, skip);
    return { sender, bob: Party.load(bob, held), messages };
  },
  ({ sender, bob, messages }, i) => S.groupDecrypt(sender, bob.stores, messages[i]));

const operations = {
  // The bridge itself: what a call costs that computes nothing, without a promise and with one.
  call: timed(() => [0, 1].map(() => S.PrivateKey.generate().getPublicKey()), ([a, b]) => { a.equals(b); }),
  async_call: timed(
    async (held) => {
      const { told, sender, bob } = await group(1, 0);
      return { told, sender, bob: Party.load(bob, held) };
    },
    ({ told, sender, bob }) => S.processSenderKeyDistributionMessage(sender, told, bob.stores)),

  // Without a promise and without a store: the closest that the library lets one come to what it computes.
  agree: timed(() => [S.PrivateKey.generate(), S.PrivateKey.generate().getPublicKey()], ([a, b]) => { a.agree(b); }),
  sign: timed(() => S.PrivateKey.generate(), (key) => { key.sign(TEXT); }),
  verify: timed(
    () => { const key = S.PrivateKey.generate(); return [key.getPublicKey(), key.sign(TEXT)]; },
    ([key, signature]) => { key.verify(TEXT, signature); }),

  begin: timed(
    async (held) => {
      const bob = Party.fresh('bob');
      return { bob, bundle: await bob.bundle(), alice: Party.fresh('alice').dump(), held };
    },
    ({ bob, bundle, alice, held }) => Party.load(alice, held).begin(bundle, bob)),
  accept: timed(
    async (held, count) => ({ ...await firsts(count), held }),
    ({ bob, messages, held }, i) => Party.load(bob, held).receive(messages[i])),
  encrypt: timed(
    async (held) => Party.load((await meet())[0].dump(), held),
    (alice) => alice.send(TEXT)),
  decrypt: opens(0),
  decrypt_kept: opens(KEPT),
  ping_pong: timed(
    async (held) => (await meet()).map((each) => Party.load(each.dump(), held)),
    async (pair, i) => pair[1 - (i % 2)].receive(await pair[i % 2].send(TEXT))),
  group_encrypt: timed(
    async (held) => Party.load((await group(1, 0)).alice, held),
    async (alice) => (await S.groupEncrypt(alice.address, DISTRIBUTION, alice.stores, TEXT)).serialize()),
  group_decrypt: opensInGroup(0),
  group_decrypt_kept: opensInGroup(KEPT),
  ...sealed({ timed, once }),
};

const commands = {
  version: () => ({ libsignal: packageVersion, node: process.version }),
  measure: (r) => operations[r.op](r),
  sizes: async () => {
    const bob = Party.fresh('bob');
    const begun = Party.fresh('alice');
    await begun.begin(await bob.bundle(), bob);
    const [talked] = await meet();
    const [a, b] = await meet();
    await talk(a, b, 100);
    const { alice, bob: member } = await group(1, 0);
    return {
      session_begun: begun.dump().session.length,
      session_answered: talked.dump().session.length,
      session_talked: a.dump().session.length,
      session_kept: (await letters(1, KEPT)).bob.session.length,
      sender_key_ours: alice.senderKey.length,
      sender_key_theirs: member.senderKey.length,
      sender_key_kept: (await group(1, KEPT)).bob.senderKey.length,
    };
  },
};

for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let reply;
  try {
    const request = JSON.parse(line);
    reply = { ok: await commands[request.cmd](request) };
  } catch (error) {
    reply = { err: { kind: error?.name ?? 'Error', code: null, message: String(error?.stack ?? error) } };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
