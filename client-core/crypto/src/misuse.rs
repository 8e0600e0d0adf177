//! What does not compile. Each example that is refused stands below one that differs from it in one line and is accepted.
//!
//! # A session with a bundle that nobody has verified
//!
//! ```
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn begin(
//!     bundle: VerifiedBundle,
//! #   us: &Local<'_>, rng: &mut impl CryptoRng,
//! ) -> Result<Sessions, StartError> {
//!     Sessions::empty().start(us, &bundle, 0, rng)
//! }
//! ```
//! ```compile_fail,E0308
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn begin(
//!     bundle: PreKeyBundle,
//! #   us: &Local<'_>, rng: &mut impl CryptoRng,
//! ) -> Result<Sessions, StartError> {
//!     Sessions::empty().start(us, &bundle, 0, rng)
//! }
//! ```
//!
//! # A verified bundle that was not verified
//!
//! ```
//! # use hushwire_crypto::*;
//! fn trust(bundle: PreKeyBundle) -> Result<VerifiedBundle, BadBundle> {
//!     bundle.verify()
//! }
//! ```
//! ```compile_fail,E0423
//! # use hushwire_crypto::*;
//! fn trust(bundle: PreKeyBundle) -> Result<VerifiedBundle, BadBundle> {
//!     Ok(VerifiedBundle(bundle))
//! }
//! ```
//!
//! # Our key in the place of theirs
//!
//! ```
//! # use hushwire_crypto::*;
//! fn agree(ours: &KeyPair, theirs: &PublicKey) -> bool {
//!     ours.agree(theirs).is_ok()
//! }
//! ```
//! ```compile_fail,E0599
//! # use hushwire_crypto::*;
//! fn agree(ours: &KeyPair, theirs: &PublicKey) -> bool {
//!     theirs.agree(ours).is_ok()
//! }
//! ```
//! ```
//! # use hushwire_crypto::{*, sealed::*}; use rand_core::CryptoRng;
//! fn hide(us: &IdentityKeyPair, them: &PublicKey, rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
//!     seal(b"content", us, them, rng)
//! }
//! ```
//! ```compile_fail,E0308
//! # use hushwire_crypto::{*, sealed::*}; use rand_core::CryptoRng;
//! fn hide(us: &IdentityKeyPair, them: &PublicKey, rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
//!     seal(b"content", them, us, rng)
//! }
//! ```
//!
//! # Bytes that nobody has parsed, or of another kind of message
//!
//! ```
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn read(
//!     message: &SignalMessage,
//! #   sessions: &Sessions, us: &Local<'_>, rng: &mut impl CryptoRng,
//! ) -> Result<Opened, DecryptError> {
//!     sessions.decrypt(us, message, rng)
//! }
//! ```
//! ```compile_fail,E0308
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn read(
//!     message: &[u8],
//! #   sessions: &Sessions, us: &Local<'_>, rng: &mut impl CryptoRng,
//! ) -> Result<Opened, DecryptError> {
//!     sessions.decrypt(us, message, rng)
//! }
//! ```
//! ```compile_fail,E0308
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn read(
//!     message: &SenderKeyMessage,
//! #   sessions: &Sessions, us: &Local<'_>, rng: &mut impl CryptoRng,
//! ) -> Result<Opened, DecryptError> {
//!     sessions.decrypt(us, message, rng)
//! }
//! ```
//!
//! # A sealed message of a sender for whom nobody has vouched
//!
//! ```
//! # use hushwire_crypto::{*, sealed::content::*};
//! fn take(content: VerifiedContent) -> Option<CiphertextMessage> {
//!     content.session_message()
//! }
//! ```
//! ```compile_fail,E0599
//! # use hushwire_crypto::{*, sealed::content::*};
//! fn take(content: SealedContent) -> Option<CiphertextMessage> {
//!     content.session_message()
//! }
//! ```
//!
//! # Randomness that can be guessed, or none
//!
//! ```
//! # use hushwire_crypto::*; use rand_core::*; use std::convert::Infallible;
//! # struct Dice;
//! # impl TryRng for Dice {
//! #   type Error = Infallible;
//! #   fn try_next_u32(&mut self) -> Result<u32, Infallible> { Ok(4) }
//! #   fn try_next_u64(&mut self) -> Result<u64, Infallible> { Ok(4) }
//! #   fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> { out.fill(4); Ok(()) }
//! # }
//! impl TryCryptoRng for Dice {}
//! let key = IdentityKeyPair::generate(&mut Dice);
//! ```
//! ```compile_fail,E0277
//! # use hushwire_crypto::*; use rand_core::*; use std::convert::Infallible;
//! # struct Dice;
//! # impl TryRng for Dice {
//! #   type Error = Infallible;
//! #   fn try_next_u32(&mut self) -> Result<u32, Infallible> { Ok(4) }
//! #   fn try_next_u64(&mut self) -> Result<u64, Infallible> { Ok(4) }
//! #   fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> { out.fill(4); Ok(()) }
//! # }
//! // Dice are an rng, and say nothing of being fit for keys.
//! let key = IdentityKeyPair::generate(&mut Dice);
//! ```
//! ```
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn sign(us: &IdentityKeyPair, rng: &mut impl CryptoRng) -> [u8; 64] {
//!     us.sign(&[b"text"], rng)
//! }
//! ```
//! ```compile_fail,E0061
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! fn sign(us: &IdentityKeyPair, rng: &mut impl CryptoRng) -> [u8; 64] {
//!     us.sign(&[b"text"])
//! }
//! ```
//!
//! # A plaintext without the session behind it
//!
//! A decryption gives both in one value, and what drops that value unseen is refused where warnings are.
//!
//! ```
//! # #![deny(unused_must_use)]
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! # fn store(_: Opened) {}
//! fn read(sessions: &Sessions, us: &Local<'_>, message: &SignalMessage, rng: &mut impl CryptoRng) -> Result<(), DecryptError> {
//!     store(sessions.decrypt(us, message, rng)?);
//!     Ok(())
//! }
//! ```
//! ```compile_fail
//! # #![deny(unused_must_use)]
//! # use hushwire_crypto::*; use rand_core::CryptoRng;
//! # fn store(_: Opened) {}
//! fn read(sessions: &Sessions, us: &Local<'_>, message: &SignalMessage, rng: &mut impl CryptoRng) -> Result<(), DecryptError> {
//!     sessions.decrypt(us, message, rng)?;
//!     Ok(())
//! }
//! ```
//! ```
//! # use hushwire_crypto::*;
//! fn keep(opened: Opened) -> (Opened, Option<Opened>) {
//!     (opened, None)
//! }
//! ```
//! ```compile_fail,E0599
//! # use hushwire_crypto::*;
//! fn keep(opened: Opened) -> (Opened, Option<Opened>) {
//!     (opened.clone(), Some(opened))
//! }
//! ```
//!
//! # Secrets that are compared byte by byte, copied in passing, or shown
//!
//! ```
//! # use hushwire_crypto::*;
//! fn same(one: &IdentityKeyPair, other: &IdentityKeyPair) -> bool {
//!     one.public() == other.public()
//! }
//! ```
//! ```compile_fail,E0369
//! # use hushwire_crypto::*;
//! fn same(one: &IdentityKeyPair, other: &IdentityKeyPair) -> bool {
//!     one == other
//! }
//! ```
//! ```
//! # use hushwire_crypto::*;
//! fn twice(key: PrivateKey) -> (PrivateKey, PrivateKey) {
//!     (key.clone(), key)
//! }
//! ```
//! ```compile_fail,E0382
//! # use hushwire_crypto::*;
//! fn twice(key: PrivateKey) -> (PrivateKey, PrivateKey) {
//!     (key, key)
//! }
//! ```
//! ```
//! # use hushwire_crypto::*;
//! fn show(key: &PublicKey) -> String {
//!     format!("{key:?}")
//! }
//! ```
//! ```compile_fail,E0277
//! # use hushwire_crypto::*;
//! fn show(key: &PrivateKey) -> String {
//!     format!("{key}")
//! }
//! ```
//!
//! # What does compile
//!
//! Encrypting twice from one and the same `Sessions` value, which uses one message key twice. Acts take `&self`, so that
//! what fails changes nothing; the price is that the caller has to go on with the value that an act gave, and to store it
//! before the message leaves. Inside, chains and seeds are used up by value and are not `Copy`.
