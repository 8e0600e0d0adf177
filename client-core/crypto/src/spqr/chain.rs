//! The key chain: one root over all epochs and, per kept epoch, a hash chain of message keys in each direction.
//!
//! Where the secrets of new epochs come from is the concern of `braid`.
//!
//! Spec: signal-wire §4.8.

use std::sync::Arc;

use super::{
    Role, SpqrError,
    secret::Secret,
    stored::{Reader, Writer},
};
use crate::{kdf, limits};

/// How far behind the last key the index of a received message may lie, and so how many keys are kept per epoch.
#[allow(clippy::cast_possible_truncation, reason = "checked on the next line")]
const WINDOW: u32 = limits::SKIPPED_PER_CHAIN_MAX as u32;
const _: () = assert!(WINDOW as usize == limits::SKIPPED_PER_CHAIN_MAX && WINDOW <= u16::MAX as u32);

/// The send epoch, the one before it, and the one that is agreed on but not yet used for sending.
const EPOCHS_MAX: usize = 3;

/// The stored size of one key of a message that has not come yet.
const KEPT_BYTES: usize = 4 + 32;

/// The stored size of a chain without such keys.
const BARE_BYTES_MAX: usize = 1 + 8 + 8 + 32 + 1 + EPOCHS_MAX * (1 + 32 + 4 + 32 + 4 + 2);

/// The stored size of any chain.
pub(super) const BYTES_MAX: usize = BARE_BYTES_MAX + EPOCHS_MAX * limits::SKIPPED_PER_CHAIN_MAX * KEPT_BYTES;

const START: &[u8] = b"Signal PQ Ratchet V1 Chain  Start"; // with two spaces
const ADD_EPOCH: &[u8] = b"Signal PQ Ratchet V1 Chain Add Epoch";
const NEXT: &[u8] = b"Signal PQ Ratchet V1 Chain Next";

/// The chain of one side.
#[derive(Clone)]
pub(super) struct Chain {
    role: Role,
    root: Secret,
    /// `c`, the newest epoch.
    current: u64,
    /// The epoch that was last sent in. Never goes down.
    send_epoch: u64,
    /// The kept epochs in order; the last one is `current`.
    epochs: Vec<Epoch>,
}

/// `ES(e)` and its e.
pub(super) struct EpochSecret {
    pub(super) epoch: u64,
    pub(super) secret: Secret,
}

#[derive(Clone)]
struct Epoch {
    send: SendChain,
    receive: ReceiveChain,
}

#[derive(Clone)]
struct SendChain {
    /// Erased once a later epoch was sent in.
    next: Option<Secret>,
    counter: u32,
}

#[derive(Clone)]
struct ReceiveChain {
    next: Secret,
    counter: u32,
    /// The keys that were passed over, in order of their numbers, none below `counter − WINDOW`. A clone shares them: a
    /// message in its turn touches none, and there may be many.
    kept: Arc<Vec<Kept>>,
}

#[derive(Clone)]
struct Kept {
    index: u32,
    key: Secret,
}

impl Chain {
    /// `X = HKDF(0^32, PQK, "… Chain  Start", 96)`: root, A→B, B→A of epoch 0.
    ///
    /// Spec: signal-wire §4.8.
    pub(super) fn start(role: Role, auth_key: &[u8; 32]) -> Self {
        let [root, a_to_b, b_to_a] = Secret::split(&kdf::hkdf::<96>(None, auth_key, START));
        Self { role, root, current: 0, send_epoch: 0, epochs: vec![Epoch::new(role, a_to_b, b_to_a)] }
    }

    /// `X = HKDF(root, ES(e), "… Chain Add Epoch", 96)`: root, A→B, B→A of epoch e.
    ///
    /// # Errors
    /// `Epoch` unless e follows the current epoch.
    ///
    /// Spec: signal-wire §4.8.
    pub(super) fn add(mut self, EpochSecret { epoch, secret }: EpochSecret) -> Result<Self, SpqrError> {
        if self.current.checked_add(1) != Some(epoch) {
            return Err(SpqrError::Epoch);
        }
        let x = kdf::hkdf::<96>(Some(self.root.as_bytes()), secret.as_bytes(), ADD_EPOCH);
        let [root, a_to_b, b_to_a] = Secret::split(&x);
        self.root = root;
        self.current = epoch;
        self.epochs.push(Epoch::new(self.role, a_to_b, b_to_a));
        Ok(self)
    }

    /// The next sending key of an epoch, with its index. Forgets what an earlier send epoch still needed.
    ///
    /// # Errors
    /// `Epoch` if the epoch is before the send epoch or unknown, `Exhausted` after 2^32 − 1 keys.
    ///
    /// Spec: signal-wire §4.8.
    pub(super) fn send(mut self, epoch: u64) -> Result<(Self, u32, Secret), SpqrError> {
        if epoch < self.send_epoch || epoch > self.current {
            return Err(SpqrError::Epoch);
        }
        if epoch > self.send_epoch {
            self.send_epoch = epoch;
            let mut number = self.oldest();
            self.epochs.retain_mut(|kept| {
                if number < epoch {
                    kept.send.next = None;
                }
                number += 1;
                number >= epoch // that is, this one's own number is at least `epoch − 1`
            });
        }
        let send = &mut self.epoch_mut(epoch)?.send;
        let (counter, next, key) = step(send.counter, send.next.as_ref().ok_or(SpqrError::Epoch)?)?;
        *send = SendChain { next: Some(next), counter };
        Ok((self, counter, key))
    }

    /// The receiving key number `index` of an epoch, which can be drawn once.
    ///
    /// # Errors
    /// `Epoch` if the epoch is not there yet or no longer; `TooFarAhead`; `Repeated` for a key that was drawn or that
    /// the window has left behind.
    ///
    /// Spec: signal-wire §4.8.
    pub(super) fn receive(mut self, epoch: u64, index: u32, forward_max: u32) -> Result<(Self, Secret), SpqrError> {
        let key = self.epoch_mut(epoch)?.receive.draw(index, forward_max)?;
        Ok((self, key))
    }

    pub(super) fn current(&self) -> u64 {
        self.current
    }

    pub(super) fn stored_bytes_max(&self) -> usize {
        let kept: usize = self.epochs.iter().map(|epoch| epoch.receive.kept.len()).sum();
        BARE_BYTES_MAX + kept * KEPT_BYTES
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.role.to_byte());
        out.u64(self.current);
        out.u64(self.send_epoch);
        out.bytes(self.root.as_bytes());
        // At most `EPOCHS_MAX`.
        out.u8(u8::try_from(self.epochs.len()).unwrap_or(u8::MAX));
        for Epoch { send, receive } in &self.epochs {
            out.u8(send.next.is_some().into());
            if let Some(next) = &send.next {
                out.bytes(next.as_bytes());
            }
            out.u32(send.counter);
            receive.write(out);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        let role = Role::from_byte(from.u8()?)?;
        let (current, send_epoch) = (from.u64()?, from.u64()?);
        let root = from.secret()?;
        let count = from.u8()?;
        let epochs = (0..count).map(|_| Epoch::read(from)).collect::<Result<Vec<_>, _>>()?;
        let sound = (1..=EPOCHS_MAX).contains(&epochs.len())
            && current.checked_add(1).is_some_and(|end| end >= u64::from(count))
            && send_epoch <= current;
        if !sound {
            return Err(SpqrError::Damaged);
        }
        Ok(Self { role, root, current, send_epoch, epochs })
    }

    /// The oldest kept epoch.
    fn oldest(&self) -> u64 {
        // `epochs` is never empty, and has never more elements than there were epochs.
        self.current - (self.epochs.len() as u64 - 1)
    }

    fn epoch_mut(&mut self, epoch: u64) -> Result<&mut Epoch, SpqrError> {
        let place = epoch.checked_sub(self.oldest()).ok_or(SpqrError::Epoch)?;
        let place = usize::try_from(place).map_err(|_| SpqrError::Epoch)?;
        self.epochs.get_mut(place).ok_or(SpqrError::Epoch)
    }
}

impl Epoch {
    fn new(role: Role, a_to_b: Secret, b_to_a: Secret) -> Self {
        let (send, receive) = match role {
            Role::A => (a_to_b, b_to_a),
            Role::B => (b_to_a, a_to_b),
        };
        Self {
            send: SendChain { next: Some(send), counter: 0 },
            receive: ReceiveChain { next: receive, counter: 0, kept: Arc::default() },
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        let next = match from.u8()? {
            0 => None,
            1 => Some(from.secret()?),
            _ => return Err(SpqrError::Damaged),
        };
        let counter = from.u32()?;
        Ok(Self { send: SendChain { next, counter }, receive: ReceiveChain::read(from)? })
    }
}

impl ReceiveChain {
    fn draw(&mut self, index: u32, forward_max: u32) -> Result<Secret, SpqrError> {
        let Some(ahead) = index.checked_sub(self.counter).filter(|&ahead| ahead > 0) else {
            let place = self.kept.binary_search_by_key(&index, |kept| kept.index);
            let place = place.map_err(|_| SpqrError::Repeated)?;
            return Ok(Arc::make_mut(&mut self.kept).remove(place).key);
        };
        if ahead > forward_max {
            return Err(SpqrError::TooFarAhead { ahead, limit: forward_max });
        }
        let oldest = index.saturating_sub(WINDOW);
        if self.kept.first().is_some_and(|kept| kept.index < oldest) {
            Arc::make_mut(&mut self.kept).retain(|kept| kept.index >= oldest);
        }
        loop {
            let (counter, next, key) = step(self.counter, &self.next)?;
            self.counter = counter;
            self.next = next;
            if counter == index {
                return Ok(key);
            }
            if counter >= oldest {
                Arc::make_mut(&mut self.kept).push(Kept { index: counter, key });
            }
        }
    }

    fn write(&self, out: &mut Writer) {
        out.bytes(self.next.as_bytes());
        out.u32(self.counter);
        // At most `WINDOW`.
        out.u16(u16::try_from(self.kept.len()).unwrap_or(u16::MAX));
        for Kept { index, key } in self.kept.iter() {
            out.u32(*index);
            out.bytes(key.as_bytes());
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        let next = from.secret()?;
        let counter = from.u32()?;
        let count = from.u16()?;
        let mut expected = counter.saturating_sub(WINDOW).max(1)..counter;
        let kept = (0..count)
            .map(|_| {
                let index = from.u32()?;
                if !expected.contains(&index) {
                    return Err(SpqrError::Damaged);
                }
                expected.start = index + 1; // below `counter`
                let key = from.secret()?;
                Ok(Kept { index, key })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { next, counter, kept: Arc::new(kept) })
    }
}

/// `counter + 1; X = HKDF(0^32, next, BE32(counter) ‖ "… Chain Next", 64)`: next, key.
///
/// Spec: signal-wire §4.8.
fn step(counter: u32, next: &Secret) -> Result<(u32, Secret, Secret), SpqrError> {
    let counter = counter.checked_add(1).ok_or(SpqrError::Exhausted)?;
    let info = [&counter.to_be_bytes(), NEXT].concat();
    let [next, key] = Secret::split(&kdf::hkdf::<64>(None, next.as_bytes(), &info));
    Ok((counter, next, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = limits::FORWARD_JUMP_MAX;

    fn pair() -> (Chain, Chain) {
        (Chain::start(Role::A, &[7; 32]), Chain::start(Role::B, &[7; 32]))
    }

    fn add(chain: Chain, epoch: u64) -> Chain {
        let secret = Secret::new(&[u8::try_from(epoch).unwrap(); 32]);
        chain.add(EpochSecret { epoch, secret }).unwrap()
    }

    /// The error of a receipt; its chain is dropped.
    fn refusal(chain: &Chain, epoch: u64, index: u32) -> Option<SpqrError> {
        chain.clone().receive(epoch, index, LIMIT).err()
    }

    #[test]
    fn what_one_side_sends_the_other_receives() {
        let (mut a, mut b) = pair();
        let mut seen = Vec::new();
        for expected in 1..=3 {
            let (next, index, sent) = a.send(0).unwrap();
            assert_eq!(index, expected);
            let (opened, received) = b.receive(0, index, LIMIT).unwrap();
            assert_eq!(sent.as_bytes(), received.as_bytes());
            let (answered, _, answer) = opened.send(0).unwrap();
            seen.extend([*sent.as_bytes(), *answer.as_bytes()]);
            (a, b) = (next, answered);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn a_chain_jumps_25000_ahead_and_no_further() {
        let (a, _) = pair();
        assert_eq!(refusal(&a, 0, 25_000), None);
        let too_far = Some(SpqrError::TooFarAhead { ahead: 25_001, limit: 25_000 });
        assert_eq!(refusal(&a, 0, 25_001), too_far);

        let (a, _) = a.receive(0, 10, LIMIT).unwrap();
        assert_eq!(refusal(&a, 0, 25_010), None);
        assert_eq!(refusal(&a, 0, 25_011), too_far);
        assert!(a.receive(0, 25_011, limits::FORWARD_JUMP_OWN_ACCOUNT_MAX).is_ok());
    }

    #[test]
    fn the_window_keeps_2000_keys() {
        let (a, b) = pair();
        let keys: Vec<_> = (1..=2501)
            .scan(b, |b, _| {
                let (next, _, key) = b.clone().send(0).unwrap();
                *b = next;
                Some(key)
            })
            .collect();
        let (a, key) = a.receive(0, 2501, LIMIT).unwrap();
        assert_eq!(key.as_bytes(), keys[2500].as_bytes());
        assert_eq!(a.epochs[0].receive.kept.len(), 2000);
        assert_eq!(refusal(&a, 0, 500), Some(SpqrError::Repeated));
        let (a, key) = a.receive(0, 501, LIMIT).unwrap();
        assert_eq!(key.as_bytes(), keys[500].as_bytes());
        let (a, key) = a.receive(0, 2500, LIMIT).unwrap();
        assert_eq!(key.as_bytes(), keys[2499].as_bytes());

        // One more message moves the window by one, whatever is left in it.
        let (a, _) = a.receive(0, 2502, LIMIT).unwrap();
        let (a, _) = a.receive(0, 2503, LIMIT).unwrap();
        assert_eq!(refusal(&a, 0, 502), Some(SpqrError::Repeated));
        assert_eq!(refusal(&a, 0, 503), None);
    }

    #[test]
    fn a_key_is_drawn_once() {
        let (a, _) = pair();
        let (a, _) = a.receive(0, 3, LIMIT).unwrap();
        assert_eq!(refusal(&a, 0, 3), Some(SpqrError::Repeated));
        let (a, _) = a.receive(0, 2, LIMIT).unwrap();
        assert_eq!(refusal(&a, 0, 2), Some(SpqrError::Repeated));
        assert_eq!(refusal(&a, 0, 0), Some(SpqrError::Repeated));
        assert_eq!(refusal(&a, 0, 1), None);
    }

    #[test]
    fn the_epoch_before_the_send_epoch_is_kept_for_receiving() {
        let (a, _) = pair();
        assert_eq!(refusal(&a, 1, 1), Some(SpqrError::Epoch));
        let a = add(add(a, 1), 2);
        for epoch in 0..=2 {
            assert_eq!(refusal(&a, epoch, 1), None);
        }
        let (a, index, _) = a.send(1).unwrap();
        assert_eq!(index, 1);
        assert_eq!(refusal(&a, 0, 1), None);
        assert!(matches!(a.clone().send(0), Err(SpqrError::Epoch)));
        assert!(a.epochs[0].send.next.is_none());

        let (a, ..) = a.send(2).unwrap();
        assert_eq!(refusal(&a, 0, 1), Some(SpqrError::Epoch));
        assert_eq!(refusal(&a, 1, 1), None);
        assert_eq!(refusal(&a, 2, 1), None);
        assert!(matches!(a.clone().send(3), Err(SpqrError::Epoch)));
        assert!(matches!(a.send(9), Err(SpqrError::Epoch)));
    }

    #[test]
    fn epochs_follow_each_other() {
        let (a, _) = pair();
        for epoch in [0, 2] {
            let secret = Secret::new(&[1; 32]);
            let wrong = a.clone().add(EpochSecret { epoch, secret });
            assert!(matches!(wrong, Err(SpqrError::Epoch)));
        }
    }

    #[test]
    fn a_counter_at_its_end_gives_no_more_keys() {
        let (mut a, _) = pair();
        a.epochs[0].send.counter = u32::MAX;
        assert!(matches!(a.send(0), Err(SpqrError::Exhausted)));
    }

    #[test]
    fn the_largest_chain_takes_what_it_may() {
        let (a, _) = pair();
        let mut a = add(add(a, 1), 2);
        for epoch in 0..=2 {
            (a, _) = a.receive(epoch, 2500, LIMIT).unwrap();
        }
        assert_eq!(a.stored_bytes_max(), BYTES_MAX);
        let mut out = Writer::with_capacity(BYTES_MAX);
        a.write(&mut out);
        let bytes = out.finish();
        assert_eq!(bytes.len(), BYTES_MAX);

        let mut from = Reader::new(&bytes);
        let read = Chain::read(&mut from).unwrap();
        assert_eq!(from.finish(), Ok(()));
        let (_, ours) = a.receive(1, 1234, LIMIT).unwrap();
        let (_, theirs) = read.receive(1, 1234, LIMIT).unwrap();
        assert_eq!(ours.as_bytes(), theirs.as_bytes());
    }
}
