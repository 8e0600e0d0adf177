//! Random lives of accounts, with thieves: whatever is accepted was signed by somebody who might, and what a stolen device
//! does is undone by the recovery key, whoever looks and in whatever order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use ed25519_dalek::SigningKey;
use hushwire_proto::account::{
    CannotChange, Chain, Change, Compared, Device, Link, Signatory, SignedLink, encode_links, identity_transcript,
    parse_links,
};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{DeviceId, MailboxId, Token};
use hushwire_proto::keyserver::CURVE_KEY_LEN;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha512};

const LIVES: u64 = 300;
const STEPS: usize = 16;

/// Keys 1 to 8 are devices, 9 is a stranger, 100 and 101 are recovery keys of the owner, 102 is not.
fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn proof(identity: &[u8; CURVE_KEY_LEN], message: &[u8]) -> SignatureBytes {
    Sha512::new().chain_update(identity).chain_update(message).finalize().into()
}

fn vouches(identity: &[u8; CURVE_KEY_LEN], message: &[u8], signature: &SignatureBytes) -> bool {
    proof(identity, message) == *signature
}

fn device(number: u8) -> Device {
    let id = DeviceId::new(number.into()).unwrap();
    let (identity_key, signing_key) = ([number; CURVE_KEY_LEN], key(number).verifying_key().to_bytes());
    Device {
        id,
        registration_id: 7,
        identity_key,
        signing_key,
        identity_proof: proof(&identity_key, identity_transcript(id, 7, &signing_key).bytes()),
        relay: "hush://relay.example.org".to_owned(),
        mailbox: MailboxId([number; 32]),
        request_token: Token::from_slice(&[number; 32]).unwrap(),
        name: String::new(),
    }
}

/// A link as somebody makes it, with everything that decides whether it is right.
#[derive(Clone, Debug)]
struct Made {
    devices: Vec<u8>,
    recovery: u8,
    /// 0: as the recovery key.
    signs_as: u8,
    with: u8,
}

impl Made {
    fn random(rng: &mut StdRng) -> Self {
        let devices = (1..=8).filter(|_| rng.random_ratio(1, 3)).collect::<Vec<u8>>();
        let signs_as = if rng.random_ratio(1, 4) { 0 } else { rng.random_range(1..=8) };
        let honest = if signs_as == 0 { rng.random_range(100..=101) } else { signs_as };
        Self {
            devices: if devices.is_empty() { vec![1] } else { devices },
            recovery: if rng.random_ratio(1, 4) { rng.random_range(100..=102) } else { 100 },
            signs_as,
            with: if rng.random_ratio(1, 5) { rng.random_range(1..=9) } else { honest },
        }
    }

    fn after(&self, before: Option<&SignedLink>) -> SignedLink {
        let link = Link {
            version: before.map_or(0, |before| before.link().version + 1),
            previous: before.map(SignedLink::hash),
            devices: self.devices.iter().map(|number| device(*number)).collect(),
            recovery_key: key(self.recovery).verifying_key().to_bytes(),
        };
        let signatory = match DeviceId::new(self.signs_as.into()) {
            Some(id) => Signatory::Device(id),
            None => Signatory::Recovery,
        };
        link.sign(signatory, &key(self.with))
    }

    /// The rules once more, in other words: over what was made, not over bytes.
    fn may_follow(&self, chain: &[Self], place: usize) -> bool {
        let before = &chain[place];
        let signed = match self.signs_as {
            0 => self.with == before.recovery,
            device => self.with == device && before.devices.contains(&device) && self.recovery == before.recovery,
        };
        let undone = &chain[place + 1..];
        signed && (undone.is_empty() || (self.signs_as == 0 && undone.iter().all(|made| made.signs_as != 0)))
    }
}

#[test]
fn whatever_is_accepted_was_authorised_and_whatever_was_authorised_is_accepted() {
    let (mut accepted, mut refused, mut undone) = (0, 0, 0);
    for life in 0..LIVES {
        let mut rng = StdRng::seed_from_u64(life);
        let mut made = vec![Made { devices: vec![1, 2], recovery: 100, signs_as: 1, with: 1 }];
        let mut chain = Chain::verify(vec![made[0].after(None)], vouches).unwrap();
        for _ in 0..STEPS {
            let next = Made::random(&mut rng);
            let place = if rng.random_ratio(2, 3) { made.len() - 1 } else { rng.random_range(0..made.len()) };
            let link = next.after(chain.links().get(place));
            let repeats =
                chain.links().iter().any(|known| (known.hash(), known.signatory()) == (link.hash(), link.signatory()));
            let found = chain.append(link, vouches);
            assert_eq!(found.is_ok(), repeats || next.may_follow(&made, place), "life {life}: {next:?} at {place}");
            match found {
                Ok(longer) if !repeats => {
                    accepted += 1;
                    undone += usize::from(place + 1 < made.len());
                    made.truncate(place + 1);
                    made.push(next);
                    assert_eq!(longer.links().len(), made.len());
                    chain = longer;
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
            assert!(Chain::verify(chain.links().to_vec(), vouches).is_ok());
        }
    }
    assert!(
        accepted > 500 && refused > 2_000 && undone > 20,
        "{accepted} accepted, {refused} refused, {undone} undone"
    );
}

#[test]
fn whatever_a_stolen_device_signs_loses_against_the_recovery_key() {
    for life in 0..LIVES {
        let mut rng = StdRng::seed_from_u64(1_000 + life);
        let start = Made { devices: vec![1, 2], recovery: 100, signs_as: 1, with: 1 };
        let mut chain = Chain::verify(vec![start.after(None)], vouches).unwrap();
        for _ in 0..rng.random_range(0..3) {
            let next = Made { devices: vec![1, 2, rng.random_range(3..=7)], recovery: 100, signs_as: 1, with: 1 };
            chain = chain.append(next.after(chain.head()), vouches).unwrap();
        }
        // A thief with device 2 goes on from anywhere, alone and for as long as they like.
        let from = rng.random_range(0..chain.links().len());
        let mut stolen = Chain::verify(chain.links()[..=from].to_vec(), vouches).unwrap();
        for _ in 0..rng.random_range(1..6) {
            let theirs = Made { devices: vec![2, 8], recovery: 100, signs_as: 2, with: 2 };
            stolen = stolen.append(theirs.after(stolen.head()), vouches).unwrap();
        }
        // The owner takes the account back from any link before the theft, and goes on.
        let recovered = Made { devices: vec![5], recovery: 101, signs_as: 0, with: 100 };
        let mut owned = Chain::verify(chain.links()[..=from].to_vec(), vouches).unwrap();
        owned = owned.append(recovered.after(owned.head()), vouches).unwrap();
        let next = Made { devices: vec![5, 6], recovery: 101, signs_as: 5, with: 5 };
        owned = owned.append(next.after(owned.head()), vouches).unwrap();
        assert_eq!(stolen.compare(&owned), Ok(Compared::Recovered));
        assert_eq!(owned.compare(&stolen), Ok(Compared::Undone));
        // Wherever the thief tries to go on, with whatever keys they ever had, it is refused.
        for place in 0..owned.links().len() {
            for (signs_as, with) in [(2, 2), (8, 8), (0, 2), (0, 100), (5, 2)] {
                let theirs = Made { devices: vec![2], recovery: 100, signs_as, with };
                assert!(owned.append(theirs.after(owned.links().get(place)), vouches).is_err());
            }
        }
    }
}

/// A link that an owner wants, signed by one of the devices that they have, or by the recovery key.
fn owners(chain: &Chain, change: &Change, rng: &mut StdRng) -> Result<SignedLink, CannotChange> {
    let link = chain.change(change)?;
    let by_recovery = matches!(change, Change::RenewRecovery(_) | Change::Recover(_)) || rng.random_ratio(1, 6);
    Ok(match by_recovery {
        true => link.sign(Signatory::Recovery, &key(recovery_of(chain))),
        false => {
            let signer = chain.devices()[rng.random_range(0..chain.devices().len())].id;
            link.sign(Signatory::Device(signer), &key(signer.get()))
        }
    })
}

fn recovery_of(chain: &Chain) -> u8 {
    let public = chain.head().unwrap().link().recovery_key;
    (100..=104).find(|number| key(*number).verifying_key().to_bytes() == public).unwrap()
}

fn wish(chain: &Chain, rng: &mut StdRng) -> Change {
    let some_id = DeviceId::new(rng.random_range(1..=12)).unwrap();
    let name = ["", "phone", "laptop", "  ", "a\u{7}b", "\u{d6}l"][rng.random_range(0..6)].to_owned();
    let new = || Device { name: name.clone(), ..device(chain.free_device_id().unwrap().get()) };
    match rng.random_range(0..9) {
        0..=2 => Change::Add(new()),
        3 => Change::Add(Device { name: name.clone(), ..device(some_id.get()) }), // perhaps one that was a device before
        4 => Change::Revoke(some_id),
        5 | 6 => Change::Rename(some_id, name),
        7 => Change::RenewRecovery(key(rng.random_range(100..=104)).verifying_key().to_bytes()),
        _ => Change::Recover(new()),
    }
}

#[test]
fn whatever_an_owner_may_want_is_a_link_that_everybody_accepts_and_reads() {
    let (mut made, mut refused) = (0, [0; 5]);
    for life in 0..LIVES {
        let mut rng = StdRng::seed_from_u64(2_000 + life);
        let start = Made { devices: vec![1], recovery: 100, signs_as: 1, with: 1 };
        let mut chain = Chain::verify(vec![start.after(None)], vouches).unwrap();
        let mut numbers = vec![1];
        for _ in 0..STEPS {
            let wish = wish(&chain, &mut rng);
            match owners(&chain, &wish, &mut rng) {
                Ok(link) => {
                    // Through bytes, as it arrives; a repeat changes nothing.
                    let link = parse_links(&encode_links(&[link])).unwrap().pop().unwrap();
                    let longer = chain.append(link.clone(), vouches).unwrap();
                    assert_eq!(longer.append(link, vouches), Ok(longer.clone()));
                    assert_eq!(chain.compare(&longer), Ok(Compared::Newer));
                    if let Change::Add(device) | Change::Recover(device) = &wish {
                        assert!(!numbers.contains(&device.id.get()), "life {life}: a number was given twice");
                        numbers.push(device.id.get());
                    }
                    chain = longer;
                    made += 1;
                }
                Err(CannotChange::TooManyDevices) => refused[0] += 1,
                Err(CannotChange::NumberTaken(_)) => refused[1] += 1,
                Err(CannotChange::NoSuchDevice(_) | CannotChange::LastDevice) => refused[2] += 1,
                Err(CannotChange::NameTaken) => refused[3] += 1,
                Err(CannotChange::BadName) => refused[4] += 1,
                Err(CannotChange::Full) => unreachable!("{STEPS} links fit"),
            }
        }
    }
    assert!(made > 1_500 && refused.iter().skip(1).all(|count| *count > 20), "{made} made, refused {refused:?}");
}

#[test]
fn whoever_hears_of_everything_believes_the_same_in_whatever_order_and_however_often() {
    for life in 0..LIVES {
        let mut rng = StdRng::seed_from_u64(3_000 + life);
        let start = Made { devices: vec![1, 2], recovery: 100, signs_as: 1, with: 1 };
        let first = Chain::verify(vec![start.after(None)], vouches).unwrap();
        let mut heard = vec![first.clone()];
        let mut honest = first.clone();
        for _ in 0..rng.random_range(0..3) {
            let change = Change::Add(device(honest.free_device_id().unwrap().get()));
            honest = honest.append(owners(&honest, &change, &mut rng).unwrap(), vouches).unwrap();
            heard.push(honest.clone());
        }
        // A thief with device 2 goes on by themselves, as long as the recovery key has signed nothing behind it.
        let behind = honest.links().iter().rposition(|link| link.signatory() == Signatory::Recovery).unwrap_or(0);
        let from = rng.random_range(behind..honest.links().len());
        let mut stolen = Chain::verify(honest.links()[..=from].to_vec(), vouches).unwrap();
        for _ in 0..rng.random_range(1..4) {
            let theirs = Made { devices: vec![2, 8], recovery: 100, signs_as: 2, with: 2 };
            stolen = stolen.append(theirs.after(stolen.head()), vouches).unwrap();
            heard.push(stolen.clone());
        }
        // The owner comes with the words: after what the keyserver had, which is either chain.
        let seen = if rng.random_bool(0.5) { &stolen } else { &honest };
        let change = Change::Recover(device(seen.free_device_id().unwrap().get()));
        let link = seen.change(&change).unwrap().sign(Signatory::Recovery, &key(100));
        let recovered = seen.append(link, vouches).unwrap();
        heard.push(recovered.clone());
        let mut believed = Vec::new();
        for _ in 0..4 {
            let mut known = first.clone();
            for _ in 0..4 * heard.len() {
                let next = &heard[rng.random_range(0..heard.len())];
                if matches!(known.compare(next).unwrap(), Compared::Newer | Compared::Recovered) {
                    known = next.clone();
                }
            }
            for next in &heard {
                if matches!(known.compare(next).unwrap(), Compared::Newer | Compared::Recovered) {
                    known = next.clone();
                }
            }
            believed.push(known);
        }
        assert!(believed.iter().all(|chain| *chain == recovered), "life {life}");
    }
}

#[test]
fn a_thief_who_fills_the_chain_loses_it_to_the_recovery_key_all_the_same() {
    let start = Made { devices: vec![1, 2], recovery: 100, signs_as: 1, with: 1 };
    let mut chain = Chain::verify(vec![start.after(None)], vouches).unwrap();
    let change = |number: u8| Change::Rename(DeviceId::new(2).unwrap(), format!("mine {number}"));
    let mut number = 0;
    while let Ok(link) = chain.change(&change(number)) {
        let mut links = chain.links().to_vec();
        links.push(link.sign(Signatory::Device(DeviceId::new(2).unwrap()), &key(2)));
        chain = Chain::verify(links, vouches).unwrap();
        number = number.wrapping_add(1);
    }
    assert_eq!(chain.change(&change(0)), Err(CannotChange::Full));
    let link = chain.change(&Change::Recover(device(3))).unwrap().sign(Signatory::Recovery, &key(100));
    let recovered = chain.append(link, vouches).unwrap();
    assert_eq!((recovered.links().len(), recovered.devices()), (2, &[device(3)][..]));
}
