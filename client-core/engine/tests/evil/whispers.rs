//! A member who whispers to a group what is not so. Written by hand, from the specification.

use hushwire_crypto::SharedKey;
use hushwire_engine::{Answer, Command, Event, Input};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::signing::{Label, Transcript};
use prost::Message as _;

use crate::group::{Three, the_group, three};
use crate::world::World;
use crate::world::member::Member;

#[derive(Clone, PartialEq, prost::Message)]
struct GroupSaid {
    #[prost(bytes = "vec", tag = "1")]
    account: Vec<u8>,
    #[prost(uint32, tag = "2")]
    device: u32,
    #[prost(bytes = "vec", tag = "3")]
    distribution: Vec<u8>,
    #[prost(uint64, tag = "4")]
    at_ms: u64,
    #[prost(bool, tag = "5")]
    typing: bool,
    #[prost(bytes = "vec", tag = "6")]
    signature: Vec<u8>,
}

/// With mallory's signature over just that, and this group.
fn signed(world: &mut World, mallory: &Member, group: &[u8], said: GroupSaid) -> GroupSaid {
    let about = Transcript::new(Label::GroupWhisper).part(group).part(&said.account);
    let about = about.part(&[said.device.try_into().unwrap()]).part(&said.distribution);
    let about = about.part(&said.at_ms.to_be_bytes()).part(&[u8::from(said.typing)]);
    let signature = mallory.key.as_ref().unwrap().sign(about.bytes(), &mut world.rng).to_vec();
    GroupSaid { signature, ..said }
}

fn sealed(world: &mut World, mallory: &Member, said: &GroupSaid) -> Envelope {
    let mut bytes = said.encode_to_vec();
    bytes.push(0x80);
    bytes.resize(512 - 1 - hushwire_crypto::SHARED_OVERHEAD, 0);
    let purpose = [&b"hushwire/1 group whisper"[..], &mallory.group].concat();
    let key = SharedKey::new(mallory.secret.as_slice().try_into().unwrap(), &purpose);
    Envelope::new([&[0x32], &key.seal(&[0x32], &bytes, &mut world.rng)[..]].concat().into()).unwrap()
}

/// How often bob sees somebody begin or stop to type.
fn seen(world: &mut World, three: &mut Three, said: &GroupSaid) -> usize {
    let envelope = sealed(world, &three.mallory, said);
    three.bob.events.clear();
    world.input(&mut three.bob, Input::Whispered(envelope));
    three.bob.events.iter().filter(|event| matches!(event, Event::Typing { .. })).count()
}

#[test]
fn nobody_types_in_a_group_as_another_member_or_device_or_in_another_group() {
    let mut world = World::seeded(241);
    let mut three = three(&mut world);
    let there = the_group(&three.bob);
    for command in [Command::ShareTyping(there, true), Command::LookAt(there, true)] {
        assert_eq!(world.command(&mut three.bob, command), Answer::Done);
    }
    let group = three.mallory.group.clone();
    let honest = GroupSaid {
        account: three.mallory.peer.account().0.to_vec(),
        device: three.mallory.peer.device.get().into(),
        distribution: three.mallory.key.as_ref().unwrap().distribution().as_bytes().to_vec(),
        at_ms: world.now.0,
        typing: true,
        signature: Vec::new(),
    };
    let alices = three.alice.account().0.to_vec();
    let others = [
        GroupSaid { account: alices, ..honest.clone() },
        GroupSaid { account: three.bob.account().0.to_vec(), ..honest.clone() },
        GroupSaid { account: vec![5; 32], ..honest.clone() },
        GroupSaid { device: 2, ..honest.clone() },
        GroupSaid { distribution: vec![6; 16], ..honest.clone() },
        GroupSaid { at_ms: world.now.0 + 61_000, ..honest.clone() },
    ];
    for said in others {
        let said = signed(&mut world, &three.mallory, &group, said);
        assert_eq!(seen(&mut world, &mut three, &said), 0, "{said:?}");
    }
    let elsewhere = signed(&mut world, &three.mallory, &[8; 32], honest.clone());
    assert_eq!(seen(&mut world, &mut three, &elsewhere), 0, "signed for another group");
    let hers = signed(&mut world, &three.mallory, &group, honest);
    for bad in [
        GroupSaid { typing: false, ..hers.clone() },
        GroupSaid { at_ms: hers.at_ms - 1, ..hers.clone() },
        GroupSaid { signature: vec![0; 64], ..hers.clone() },
        GroupSaid { signature: vec![0; 63], ..hers.clone() },
    ] {
        assert_eq!(seen(&mut world, &mut three, &bad), 0, "{bad:?}");
    }
    // What was refused before is hers when it comes as hers.
    assert_eq!(seen(&mut world, &mut three, &hers), 1);
    assert_eq!(seen(&mut world, &mut three, &hers), 0, "once");
}
