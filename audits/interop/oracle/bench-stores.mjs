// A device for measurements: one peer, one row of each kind, and stores that only hand over what they have. They count
// how often the library asks them.
import { S } from './libsignal.mjs';

export const NOW = new Date(1_700_000_000_000);
export const TEXT = new Uint8Array(1024).fill(0x61);

// One row: the library's own object, or its bytes.
class Row {
  constructor(type, held, bytes) {
    this.type = type;
    this.held = held;
    this.it = bytes && held ? type.deserialize(bytes) : bytes;
  }
  read() { return this.held || !this.it ? this.it ?? null : this.type.deserialize(this.it); }
  write(record) { this.it = this.held ? record : record.serialize(); }
  bytes() { return this.held ? this.it?.serialize() : this.it; }
}

// All stores of a device in one object: the methods of the library's store classes have different names.
export class Stores {
  static calls = 0;
  constructor(identity, held, rows = {}) {
    this.identity = identity;
    this.pair = new S.IdentityKeyPair(identity.getPublicKey(), identity);
    this.session = new Row(S.SessionRecord, held, rows.session);
    this.senderKey = new Row(S.SenderKeyRecord, held, rows.senderKey);
    this.preKey = new Row(S.PreKeyRecord, held, rows.preKey);
    this.signedPreKey = new Row(S.SignedPreKeyRecord, held, rows.signedPreKey);
    this.kyberPreKey = new Row(S.KyberPreKeyRecord, held, rows.kyberPreKey);
  }
  async getSession() { Stores.calls++; return this.session.read(); }
  async saveSession(_, record) { Stores.calls++; this.session.write(record); }
  async getIdentityKey() { Stores.calls++; return this.identity; }
  async getIdentityKeyPair() { Stores.calls++; return this.pair; }
  async getLocalRegistrationId() { Stores.calls++; return 7; }
  async saveIdentity() { Stores.calls++; return S.IdentityChange.NewOrUnchanged; }
  async isTrustedIdentity() { Stores.calls++; return true; }
  async getIdentity() { Stores.calls++; return this.peer ?? null; }
  async getPreKey() { Stores.calls++; return this.preKey.read(); }
  async removePreKey() { Stores.calls++; }
  async getSignedPreKey() { Stores.calls++; return this.signedPreKey.read(); }
  async getKyberPreKey() { Stores.calls++; return this.kyberPreKey.read(); }
  async markKyberPreKeyUsed() { Stores.calls++; }
  async saveSenderKey(_, id, record) { Stores.calls++; this.senderKey.write(record); }
  async getSenderKey() { Stores.calls++; return this.senderKey.read(); }
}

const ACCOUNTS = {
  alice: '9d0652a3-dcc3-4d11-975f-74d61598733f',
  bob: '796abedb-ca4e-4f18-8803-1fde5b921f9f',
};
const other = { alice: 'bob', bob: 'alice' };
const addresses = Object.fromEntries(
  Object.entries(ACCOUNTS).map(([name, account]) => [name, S.ProtocolAddress.new(account, 1)]));

export class Party {
  constructor(name, stores) {
    this.name = name;
    this.address = addresses[name];
    this.peer = addresses[other[name]];
    this.stores = stores;
  }
  static fresh(name) { return new Party(name, new Stores(S.PrivateKey.generate(), false)); }
  static load({ name, identity, ...rows }, held) { return new Party(name, new Stores(identity, held, rows)); }
  dump() {
    const { identity, session, senderKey, preKey, signedPreKey, kyberPreKey } = this.stores;
    const rows = { session, senderKey, preKey, signedPreKey, kyberPreKey };
    return {
      name: this.name, identity,
      ...Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, row.bytes()])),
    };
  }
  async bundle() {
    const { identity, preKey, signedPreKey, kyberPreKey } = this.stores;
    const [one, signed, kyber] = [S.PrivateKey.generate(), S.PrivateKey.generate(), S.KEMKeyPair.generate()];
    const [signedPublic, kyberPublic] = [signed.getPublicKey(), kyber.getPublicKey()];
    const signatures = [signedPublic, kyberPublic].map((key) => identity.sign(key.serialize()));
    preKey.write(S.PreKeyRecord.new(1, one.getPublicKey(), one));
    signedPreKey.write(S.SignedPreKeyRecord.new(1, 0, signedPublic, signed, signatures[0]));
    kyberPreKey.write(S.KyberPreKeyRecord.new(1, 0, kyber, signatures[1]));
    return S.PreKeyBundle.new(
      7, 1, 1, one.getPublicKey(), 1, signedPublic, signatures[0], identity.getPublicKey(), 1, kyberPublic, signatures[1]);
  }
  begin(bundle) {
    return S.processPreKeyBundle(bundle, this.peer, this.address, this.stores, this.stores, NOW);
  }
  async send(text) {
    const sealed = await S.signalEncrypt(text, this.peer, this.address, this.stores, this.stores, NOW);
    return { isFirst: sealed.type() === S.CiphertextMessageType.PreKey, bytes: sealed.serialize() };
  }
  receive({ isFirst, bytes }) {
    const { peer, address, stores } = this;
    return isFirst
      ? S.signalDecryptPreKey(S.PreKeySignalMessage.deserialize(bytes), peer, address, stores, stores, stores, stores, stores)
      : S.signalDecrypt(S.SignalMessage.deserialize(bytes), peer, address, stores, stores);
  }
}

// So many messages from each to the other, in turns.
export async function talk(a, b, turns) {
  for (let i = 0; i < turns; i++) {
    await b.receive(await a.send(TEXT));
    await a.receive(await b.send(TEXT));
  }
}

// Two who have spoken both ways.
export async function meet() {
  const [alice, bob] = [Party.fresh('alice'), Party.fresh('bob')];
  await alice.begin(await bob.bundle());
  await talk(alice, bob, 2);
  return [alice, bob];
}
