//! What no secret may be: copied in passing, compared byte by byte, shown. Checked when the tests are compiled.

use crate::chain::{ChainKey, GroupMessageKeys, MessageKeys, MessageSeed, SkippedSeeds};
use crate::curve::{IdentityKeyPair, KeyPair, PrivateKey};
use crate::double_ratchet::{DoubleRatchet, RootKey};
use crate::kem::KemSecretKey;
use crate::pqxdh::Agreed;
use crate::prekey::{KyberPreKey, OneTimePreKey, SignedPreKey};
use crate::sender_key::{GroupOpened, OurSenderKey, SenderKeyDistributionMessage, SenderKeys};
use crate::session::Session;
use crate::sessions::{Opened, OpenedFirst, Sealed, Sessions};
use crate::spqr::Spqr;
use crate::triple::TripleRatchet;

/// Refuses to compile when a type has a trait: a method of both `Lacks<()>` and `Lacks<u8>` is ambiguous then.
macro_rules! lacks {
    ($trait:path: $($type:ty),+ $(,)?) => {
        const _: fn() = || {
            trait Lacks<Which> {
                fn lacks() {}
            }
            impl<T: ?Sized> Lacks<()> for T {}
            impl<T: ?Sized + $trait> Lacks<u8> for T {}
            $(let _ = <$type as Lacks<_>>::lacks;)+
        };
    };
}

macro_rules! are_secret {
    ($($type:ty),+ $(,)?) => {
        lacks!(Copy: $($type),+);
        lacks!(PartialEq: $($type),+);
        lacks!(std::fmt::Display: $($type),+);
        lacks!(std::hash::Hash: $($type),+);
        lacks!(AsRef<[u8]>: $($type),+);
        lacks!(std::ops::Deref: $($type),+);
    };
}

are_secret!(
    PrivateKey,
    KeyPair,
    IdentityKeyPair,
    KemSecretKey,
    OneTimePreKey,
    SignedPreKey,
    KyberPreKey,
    RootKey,
    ChainKey,
    MessageSeed,
    MessageKeys,
    GroupMessageKeys,
    SkippedSeeds,
    DoubleRatchet,
    Spqr,
    TripleRatchet,
    Session,
    Sessions,
    Agreed,
    OurSenderKey,
    SenderKeys,
    SenderKeyDistributionMessage,
    Opened,
    OpenedFirst,
    Sealed,
    GroupOpened,
);

// The keys of a message are used once: whoever has them cannot keep a second copy either.
lacks!(Clone: MessageKeys, GroupMessageKeys, Agreed, Opened, OpenedFirst, GroupOpened, Sealed);

// Of these not even a name is printed.
lacks!(std::fmt::Debug: RootKey, MessageSeed, MessageKeys, GroupMessageKeys, SkippedSeeds, Agreed);

/// Wiped on drop, by its type.
const fn wiped<T: zeroize::ZeroizeOnDrop>() {}

const _: () = {
    wiped::<PrivateKey>();
    wiped::<KemSecretKey>();
    wiped::<RootKey>();
    wiped::<ChainKey>();
    wiped::<MessageSeed>();
    wiped::<MessageKeys>();
    wiped::<GroupMessageKeys>();
};
