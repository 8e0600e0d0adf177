//! Chains of device lists: what is one, and every way not to be one.
//!
//! The identity proof is XEdDSA, which this crate does not know; here a hash stands for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use ed25519_dalek::SigningKey;
use hushwire_proto::account::{
    BadChain, Chain, Compared, Device, DoesNotFollow, Link, Signatory, SignedLink, encode_links, identity_transcript,
    parse_links,
};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, DeviceId, LinkHash, MailboxId, Token};
use hushwire_proto::keyserver::{BadMessage, CURVE_KEY_LEN};
use hushwire_proto::limits::{CHAIN_LINKS_MAX, DEVICES_PER_ACCOUNT_MAX};
use sha2::{Digest, Sha512};

const RECOVERY: u8 = 200;

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn id(number: u8) -> DeviceId {
    DeviceId::new(number.into()).unwrap()
}

/// What stands for XEdDSA: only the right key, message and signature pass.
fn proof(identity: &[u8; CURVE_KEY_LEN], message: &[u8]) -> SignatureBytes {
    Sha512::new().chain_update(identity).chain_update(message).finalize().into()
}

fn vouches(identity: &[u8; CURVE_KEY_LEN], message: &[u8], signature: &SignatureBytes) -> bool {
    proof(identity, message) == *signature
}

/// Device `number`, with keys made of `number`.
fn device(number: u8) -> Device {
    let (identity_key, signing_key) = ([number; CURVE_KEY_LEN], signing(number).verifying_key().to_bytes());
    Device {
        id: id(number),
        registration_id: 7,
        identity_key,
        signing_key,
        identity_proof: proof(&identity_key, identity_transcript(id(number), 7, &signing_key).bytes()),
        relay: "hush://relay.example.org".to_owned(),
        mailbox: MailboxId([number; 32]),
        request_token: Token::from_slice(&[number; 32]).unwrap(),
        name: String::new(),
    }
}

fn link(version: u64, previous: Option<&SignedLink>, devices: &[u8]) -> Link {
    Link {
        version,
        previous: previous.map(SignedLink::hash),
        devices: devices.iter().map(|number| device(*number)).collect(),
        recovery_key: signing(RECOVERY).verifying_key().to_bytes(),
    }
}

fn by_device(link: Link, number: u8) -> SignedLink {
    link.sign(Signatory::Device(id(number)), &signing(number))
}

fn first() -> SignedLink {
    by_device(link(0, None, &[1]), 1)
}

/// Device 1, then 1 and 2, then only 2.
fn three() -> Vec<SignedLink> {
    let first = first();
    let second = by_device(link(1, Some(&first), &[1, 2]), 1);
    let third = by_device(link(2, Some(&second), &[2]), 2);
    vec![first, second, third]
}

fn verify(links: &[SignedLink]) -> Result<Chain, BadChain> {
    Chain::verify(links.to_vec(), vouches)
}

/// Links as they arrive: through bytes.
fn arrive(links: &[SignedLink]) -> Result<Vec<SignedLink>, BadMessage> {
    parse_links(&encode_links(links))
}

#[test]
fn a_chain_names_its_account_and_its_devices_of_today() {
    let links = arrive(&three()).unwrap();
    assert_eq!(links, three());
    let chain = verify(&links).unwrap();
    assert_eq!(chain.account(), AccountId(first().hash().0));
    assert!(chain.device(id(1)).is_none() && chain.device(id(2)).is_some());
    let older = verify(&links[..2]).unwrap();
    assert!(chain.extends(&older) && !older.extends(&chain));
}

#[test]
fn another_account_is_not_the_one_asked_for() {
    let theirs = by_device(link(0, None, &[3]), 3);
    let account = AccountId(theirs.hash().0);
    assert_eq!(Chain::verify_for(account, three(), vouches), Err(BadChain::OtherAccount));
    assert!(Chain::verify_for(account, vec![theirs.clone()], vouches).is_ok());
    // A link of their chain does not go on with ours.
    let next = by_device(link(1, Some(&theirs), &[3]), 3);
    assert_eq!(verify(&[first(), next]), Err(BadChain::Broken { version: 1 }));
}

#[test]
fn a_stranger_signs_nothing() {
    let first = first();
    let next = || link(1, Some(&first), &[1, 2]);
    for signed in [
        by_device(next(), 3),                               // no device of this account
        by_device(next(), 2),                               // a device only by this very link
        next().sign(Signatory::Device(id(1)), &signing(3)), // says to be device 1
        next().sign(Signatory::Recovery, &signing(1)),      // a device is not the recovery key
    ] {
        assert_eq!(verify(&[first.clone(), signed]), Err(BadChain::Signature { version: 1 }));
    }
    let self_made = link(0, None, &[1]).sign(Signatory::Device(id(1)), &signing(3));
    assert_eq!(verify(&[self_made]), Err(BadChain::Signature { version: 0 }));
}

#[test]
fn a_revoked_device_signs_nothing_further() {
    let mut links = three();
    links.push(by_device(link(3, links.last(), &[1, 2]), 1));
    assert_eq!(verify(&links), Err(BadChain::Signature { version: 3 }));
}

#[test]
fn the_recovery_key_of_the_link_before_signs_and_a_replaced_one_does_not() {
    let mut links = three();
    let renewed = Link { recovery_key: signing(201).verifying_key().to_bytes(), ..link(3, links.last(), &[4]) };
    links.push(renewed.sign(Signatory::Recovery, &signing(RECOVERY)));
    let chain = verify(&arrive(&links).unwrap()).unwrap();
    assert_eq!(chain.devices(), [device(4)]);
    links.push(link(4, links.last(), &[5]).sign(Signatory::Recovery, &signing(RECOVERY)));
    assert_eq!(verify(&links), Err(BadChain::Signature { version: 4 }));
}

#[test]
fn links_follow_each_other_without_a_gap_a_repeat_or_a_beginning_cut_off() {
    let links = three();
    let broken = |version| Err(BadChain::Broken { version });
    let wrong_hash = Link { previous: Some(LinkHash([9; 32])), ..link(1, None, &[1]) };
    assert_eq!(verify(&[first(), by_device(wrong_hash, 1)]), broken(1));
    assert_eq!(verify(&[first(), by_device(link(1, None, &[1]), 1)]), broken(1));
    assert_eq!(verify(&[first(), by_device(link(2, Some(&first()), &[1]), 1)]), broken(1)); // a gap
    assert_eq!(verify(&[first(), first()]), broken(1));
    assert_eq!(verify(&[links[0].clone(), links[2].clone()]), broken(1));
    assert_eq!(verify(&links[1..]), broken(0));
    let not_first = Link { previous: Some(LinkHash([9; 32])), ..link(0, None, &[1]) };
    assert_eq!(verify(&[by_device(not_first, 1)]), broken(0));
    assert_eq!(verify(&[by_device(link(u64::MAX, None, &[1]), 1)]), broken(0));
}

#[test]
fn nobody_lists_the_identity_key_of_somebody_else() {
    let mut swapped = link(0, None, &[1]);
    swapped.devices[0].identity_key = [2; CURVE_KEY_LEN];
    let found = verify(&[by_device(swapped, 1)]);
    assert_eq!(found, Err(BadChain::Identity { version: 0, device: id(1) }));

    // Nor their proof, which is for another signing key, number or registration id.
    let first = first();
    let mut copied = link(1, Some(&first), &[1, 2]);
    copied.devices[1] = Device { signing_key: signing(3).verifying_key().to_bytes(), ..device(2) };
    let found = verify(&[first.clone(), by_device(copied, 1)]);
    assert_eq!(found, Err(BadChain::Identity { version: 1, device: id(2) }));
    for changed in [Device { id: id(3), ..device(2) }, Device { registration_id: 8, ..device(2) }] {
        let mut copied = link(1, Some(&first), &[1, 2]);
        let device = changed.id;
        copied.devices[1] = changed;
        let found = verify(&[first.clone(), by_device(copied, 1)]);
        assert_eq!(found, Err(BadChain::Identity { version: 1, device }));
    }
}

#[test]
fn a_list_has_one_to_eight_devices_in_order_each_once() {
    let most: Vec<u8> = (1..=8).collect();
    assert_eq!(most.len(), DEVICES_PER_ACCOUNT_MAX);
    assert!(verify(&arrive(&[by_device(link(0, None, &most), 1)]).unwrap()).is_ok());
    for devices in [&[][..], &[2, 1], &[1, 1], &[1, 2, 2]] {
        let found = arrive(&[by_device(link(0, None, devices), 1)]);
        assert_eq!(found, Err(BadMessage::Range("devices")), "{devices:?}");
    }
    let nine = arrive(&[by_device(link(0, None, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), 1)]);
    assert_eq!(nine, Err(BadMessage::TooMany { field: "devices", limit: 8 }));
}

#[test]
fn a_chain_is_neither_empty_nor_endless() {
    assert_eq!(verify(&[]), Err(BadChain::Length));
    let mut links = vec![first()];
    while links.len() <= CHAIN_LINKS_MAX {
        links.push(by_device(link(links.len() as u64, links.last(), &[1]), 1));
    }
    assert_eq!(verify(&links), Err(BadChain::Length));
    assert!(verify(&links[..CHAIN_LINKS_MAX]).is_ok());
    assert!(arrive(&links).is_err());
}

#[test]
fn a_byte_changed_anywhere_makes_another_account_or_no_chain() {
    let bytes = encode_links(&three());
    let account = AccountId(first().hash().0);
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let found = parse_links(&changed).ok().and_then(|links| Chain::verify_for(account, links, vouches).ok());
        assert!(found.is_none(), "byte {place} may be changed");
    }
}

/// `links` and one more, by a device or by the recovery key.
fn and(links: &[SignedLink], devices: &[u8], by: Option<u8>) -> Vec<SignedLink> {
    let next = link(links.len() as u64, links.last(), devices);
    let signed = match by {
        Some(number) => by_device(next, number),
        None => next.sign(Signatory::Recovery, &signing(RECOVERY)),
    };
    [links, &[signed]].concat()
}

fn compared(known: &[SignedLink], other: &[SignedLink]) -> Compared {
    verify(known).unwrap().compare(&verify(other).unwrap()).unwrap()
}

#[test]
fn a_device_does_not_replace_the_recovery_key() {
    let renewed = Link { recovery_key: signing(201).verifying_key().to_bytes(), ..link(1, Some(&first()), &[1]) };
    assert_eq!(verify(&[first(), by_device(renewed, 1)]), Err(BadChain::RecoveryKey { version: 1 }));
}

#[test]
fn of_two_chains_that_part_the_recovery_key_decides_and_everybody_decides_alike() {
    let common = three();
    let stolen = and(&and(&common, &[2, 3], Some(2)), &[3], Some(3)); // a thief with device 2 adds a device, and stays
    let taken_back = and(&common, &[4], None);
    assert_eq!(compared(&common, &stolen), Compared::Newer);
    assert_eq!(compared(&stolen, &common), Compared::Older);
    assert_eq!(compared(&stolen, &stolen), Compared::Same);
    assert_eq!(compared(&stolen, &taken_back), Compared::Recovered);
    assert_eq!(compared(&taken_back, &stolen), Compared::Undone);
    let (one, other) = (and(&common, &[2, 5], Some(2)), and(&common, &[2, 6], Some(2)));
    assert_eq!(compared(&one, &other), Compared::Forked);
    // The recovery key twice in one place, or before a link of its own: nobody can say which came first.
    let twice = and(&common, &[5], None);
    assert_eq!(compared(&taken_back, &twice), Compared::Forked);
    let later = and(&stolen, &[5], None);
    assert_eq!((compared(&later, &taken_back), compared(&taken_back, &later)), (Compared::Forked, Compared::Forked));
    let theirs = verify(&[by_device(link(0, None, &[3]), 3)]).unwrap();
    assert_eq!(verify(&common).unwrap().compare(&theirs), Err(BadChain::OtherAccount));
}

#[test]
fn a_link_is_added_once_and_only_where_it_may_stand() {
    let chain = verify(&three()).unwrap();
    let next = and(&three(), &[2, 3], Some(2)).pop().unwrap();
    let longer = chain.append(next.clone(), vouches).unwrap();
    assert_eq!(longer.links().len(), 4);
    assert_eq!(longer.append(next.clone(), vouches), Ok(longer.clone())); // a repeat
    let late = and(&three(), &[2, 4], Some(2)).pop().unwrap();
    assert_eq!(longer.append(late, vouches), Err(DoesNotFollow::Taken));
    let gap = and(longer.links(), &[3], Some(2)).pop().unwrap();
    assert_eq!(chain.append(gap, vouches), Err(DoesNotFollow::Taken));
    let forged = by_device(link(4, longer.head(), &[5]), 5);
    let refused = BadChain::Signature { version: 4 };
    assert_eq!(longer.append(forged, vouches), Err(DoesNotFollow::Bad(refused)));
    // The recovery key goes back behind what devices did, and not behind what it did itself.
    let taken_back = longer.append(and(&three()[..1], &[4], None).pop().unwrap(), vouches).unwrap();
    assert_eq!((taken_back.links().len(), taken_back.devices()), (2, &[device(4)][..]));
    assert_eq!(taken_back.append(next, vouches), Err(DoesNotFollow::Taken));
    let older_still = Link { recovery_key: signing(201).verifying_key().to_bytes(), ..link(1, Some(&first()), &[5]) };
    let older_still = older_still.sign(Signatory::Recovery, &signing(RECOVERY));
    assert_eq!(taken_back.append(older_still, vouches), Err(DoesNotFollow::Taken));
}
