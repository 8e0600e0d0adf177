// Sealed sender, measured: what bench.mjs has for it.
import { S, SentMessage } from './libsignal.mjs';
import { Stores, TEXT } from './bench-stores.mjs';

// Rows of many peers, in the order in which they are asked for.
class Many extends Stores {
  constructor(identity, peers, held) {
    super(identity, held);
    this.peers = new Map(peers.map((peer) => [peer.address.name(), peer.identity]));
    this.rows = peers.map(({ session }) => (held ? S.SessionRecord.deserialize(session) : session));
    this.held = held;
  }
  async getIdentity(address) { Stores.calls++; return this.peers.get(address.name()); }
  async getExistingSessions() {
    Stores.calls++;
    return this.held ? this.rows : this.rows.map((row) => S.SessionRecord.deserialize(row));
  }
}

function certificate(sender) {
  const [root, server] = [S.PrivateKey.generate(), S.PrivateKey.generate()];
  const issued = S.ServerCertificate.new(7, server.getPublicKey(), root);
  return S.SenderCertificate.new(
    crypto.randomUUID(), '+14155550100', 1, sender.getPublicKey(), 2e12, issued, server);
}

// A content around a message of a group to which 1 KB was encrypted.
async function content(sender) {
  const [stores, me] = [new Stores(sender, false), S.ProtocolAddress.new(crypto.randomUUID(), 1)];
  const id = crypto.randomUUID();
  await S.SenderKeyDistributionMessage.create(me, id, stores);
  const message = await S.groupEncrypt(me, id, stores, TEXT);
  return S.UnidentifiedSenderMessageContent.new(message, certificate(sender), 0, null);
}

// A session of the sender with a stranger.
async function stranger(sender) {
  const [identity, signed, kyber] = [S.PrivateKey.generate(), S.PrivateKey.generate(), S.KEMKeyPair.generate()];
  const [signedPublic, kyberPublic] = [signed.getPublicKey(), kyber.getPublicKey()];
  const bundle = S.PreKeyBundle.new(
    7, 1, null, null, 1, signedPublic, identity.sign(signedPublic.serialize()), identity.getPublicKey(),
    1, kyberPublic, identity.sign(kyberPublic.serialize()));
  const [stores, address] = [new Stores(sender, false), S.ProtocolAddress.new(crypto.randomUUID(), 1)];
  await S.processPreKeyBundle(bundle, address, S.ProtocolAddress.new(crypto.randomUUID(), 1), stores, stores);
  return { address, secret: identity, identity: identity.getPublicKey(), session: stores.session.bytes() };
}

export function operations({ timed, once }) {
  const scene = once(async (recipients) => {
    const sender = S.PrivateKey.generate();
    const peers = [];
    for (let i = 0; i < recipients; i++) peers.push(await stranger(sender));
    return { sender, peers, usmc: await content(sender) };
  });
  const seal = ({ usmc, stores, recipients }) => S.sealedSenderMultiRecipientEncrypt({
    content: usmc, recipients, excludedRecipients: [], identityStore: stores, sessionStore: stores,
  });
  const prepared = async (recipients, held) => {
    const { sender, peers, usmc } = await scene(recipients);
    return { usmc, peers, stores: new Many(sender, peers, held), recipients: peers.map((peer) => peer.address) };
  };
  const sealMany = (recipients) => timed((held) => prepared(recipients, held), seal);
  const split = (sent) => {
    const message = new SentMessage(sent);
    return Object.values(message.recipientsByServiceIdString()).map((each) => message.messageForRecipient(each));
  };
  const opens = (make) => timed(
    async () => {
      const all = await prepared(1, true);
      return { sealed: await make(all), stores: new Stores(all.peers[0].secret, true) };
    },
    ({ sealed, stores }) => S.sealedSenderDecryptToUsmc(sealed, stores));
  const sealOne = ({ usmc, recipients, stores }) => S.sealedSenderEncrypt(usmc, recipients[0], stores);
  return {
    seal_1: timed(() => prepared(1, true), sealOne),
    open_1: opens(sealOne),
    seal_2_to_1: sealMany(1),
    seal_2_to_100: sealMany(100),
    seal_2_to_1000: sealMany(1000),
    split_2_of_1000: timed(async () => seal(await prepared(1000, true)), (sent) => { split(sent); }),
    open_2: opens(async (all) => split(await seal(all))[0]),
  };
}
