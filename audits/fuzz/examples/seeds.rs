//! Writes inputs to begin with: what the recorded vectors of the official library and the golden bytes of the wire hold,
//! each behind the byte that says what it is. `cargo xtask fuzz` adds them to what is kept.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a tool that stops at the first thing that is wrong")]

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hushwire_crypto::{
    DistributionId, IdentityKeyPair, KyberPreKey, OneTimePreKey, OurSenderKey, SenderKeys, SignedPreKey,
};
use hushwire_fuzz::TARGETS;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

/// Fields of the vectors that hold what a reader reads: the name, the target, and the byte that says what it is.
const FIELDS: [(&str, &str, u8); 19] = [
    ("skdm", "messages", 3),
    ("message", "messages", 4),
    ("plaintextContent", "messages", 5),
    ("fixed", "messages", 6),
    ("binary", "messages", 6),
    ("scannable", "messages", 7),
    ("theirs", "messages", 7),
    ("identityPublic", "messages", 8),
    ("kyberPreKeyPublic", "messages", 9),
    ("secret", "messages", 11),
    ("usmc", "sealed", 3),
    ("cert", "sealed", 5),
    ("serverCert", "sealed", 5),
    ("senderCertPlain", "sealed", 5),
    ("senderCertWithE164", "sealed", 5),
    ("sent", "sealed", 7),
    ("received", "sealed", 0),
    ("ciphertext", "messages", 0),
    ("original", "messages", 1),
];

/// Of one field this many: others like it show nothing new.
const OF_A_FIELD_MAX: usize = 12;

fn main() {
    let out = PathBuf::from(std::env::args_os().nth(1).expect("the directory to write to"));
    for (target, _) in TARGETS {
        fs::create_dir_all(out.join(target)).expect("a directory that can be made");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in ["fingerprints", "groups", "keys", "misc", "negative", "prekey_sessions", "sealed_sender", "two_way"] {
        let path = root.join("client-core/crypto/tests/vectors").join(file).with_extension("json");
        let text = fs::read_to_string(path).expect("the vectors");
        let mut vectors = Vectors { file, out: &out, written: [0; FIELDS.len()] };
        vectors.walk(&serde_json::from_str(&text).expect("JSON"));
    }
    golden(&fs::read_to_string(root.join("proto/tests/golden.txt")).expect("the golden bytes"), &out);
    let texts =
        ["hush://relay.example.org", "alice@keys.example.org", "hush://[::1]:99", "bob@[::1]:99", "eve@1.2.3.4"];
    for (number, text) in texts.into_iter().enumerate() {
        write(&out, "wire", &format!("text-{number}"), 7, text.as_bytes());
    }
    for (number, id) in
        ["9d0652a3-dcc3-4d11-975f-74d61598733f", "PNI:9d0652a3-dcc3-4d11-975f-74d61598733f"].iter().enumerate()
    {
        write(&out, "messages", &format!("service-id-{number}"), 6, id.as_bytes());
    }
    schedules(&out);
    lives(&out);
    questions(&out);
    keys(&out);
    groups(&out);
}

struct Vectors<'a> {
    file: &'static str,
    out: &'a Path,
    written: [usize; FIELDS.len()],
}

impl Vectors<'_> {
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.field(name, value);
                    self.walk(value);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, name: &str, value: &Value) {
        let Some(bytes) = value.as_str().and_then(|text| HEXLOWER.decode(text.as_bytes()).ok()) else { return };
        for (place, (_, target, kind)) in FIELDS.iter().enumerate().filter(|(_, (field, ..))| *field == name) {
            self.written[place] += 1;
            if self.written[place] > OF_A_FIELD_MAX || bytes.is_empty() {
                continue;
            }
            let file = format!("{}-{name}-{}", self.file, self.written[place]);
            // A ciphertext is a message of a session, a first one or one to a group, as its bytes say.
            let kind = match (name, bytes[0], bytes.get(1)) {
                ("ciphertext", 0x33, _) => 2,
                ("ciphertext", _, Some(0x08)) => 1,
                _ => *kind,
            };
            write(self.out, target, &file, kind, &bytes);
        }
    }
}

/// `group, name: hex`, in which `aa*32` stands for a byte that is there 32 times.
fn golden(lines: &str, out: &Path) {
    for (number, line) in lines.lines().enumerate() {
        let (name, hex) = line.split_once(": ").expect("a name and bytes");
        let bytes: Vec<u8> = hex
            .split(' ')
            .flat_map(|part| match part.split_once('*') {
                Some((byte, times)) => decoded(byte).repeat(times.parse().expect("a count")),
                None => decoded(part),
            })
            .collect();
        let kinds: &[u8] = match name.split_once(", ").expect("a group and a name").0 {
            "account" => &[6],
            "keyserver" => &[4, 5],
            _ => &[1, 2, 3],
        };
        for kind in kinds {
            write(out, "wire", &format!("golden-{number}-{kind}"), *kind, &bytes);
        }
        let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        write(out, "wire", &format!("golden-{number}-frame"), 0, &[&[7], &length[..], &[0; 8], &bytes].concat());
    }
}

fn decoded(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).expect("hex")
}

/// Conversations as a person would have them: the bytes of `session`, `group` and `forged` are choices, see there.
fn schedules(out: &Path) {
    let start = [13, 0];
    let talk = [0, 0x84, 0x80, 4].repeat(12);
    let bursts = [3, 40, 0x88, 40, 0x83, 40, 8, 40];
    let both = [13, 0, 0x8D, 0, 0, 0x80, 4, 0x84, 0, 0x84, 0x80, 4];
    let late =
        [3, 3, 0x8F, 0x84, 0x8A, 0x84, 0x80, 4, 0x89, 2, 0x89, 2, 11, 1, 0, 9, 1, 12, 0x8C, 14, 0, 13, 1, 0, 0x84];
    let many = [&[13, 0, 0, 0, 0x84, 0x8F].repeat(7)[..], &[0x88, 20, 0x80, 4]].concat(); // more sessions than are kept
    for (number, steps) in [&talk[..], &bursts, &both, &late, &many].into_iter().enumerate() {
        for age in 0..8 {
            let begin = if age == 0 { &start[..] } else { &[] };
            write(out, "session", &format!("talk-{number}-{age}"), 1, &[&[age], begin, steps].concat());
        }
    }
    let hall =
        [13, 0, 0x8D, 0, 3, 9, 4, 3, 0x84, 1, 8, 0x88, 12, 3, 3, 11, 0, 13, 2, 8, 9, 1, 0, 5, 1, 14, 15, 0x8F, 13, 1];
    write(out, "group", "hall", 1, &hall);
    for moment in 0..65 {
        let number = format!("moment-{moment}");
        // More choices than most inputs need: libFuzzer comes to longer inputs slowly.
        let more: Vec<u8> = (0..60_u8).map(|place| place.wrapping_mul(moment)).collect();
        write(out, "forged", &number, moment, &[&[moment % 3, moment % 6, 1, 1, 0, moment, 7], &more[..]].concat());
        write(out, "stored", &number, 1, &[&[moment, 1, moment % 7, 2, moment, 1], &more[..]].concat());
        write(out, "handshake", &number, moment, &[&[1 << (moment % 8), 1, 0, 0, moment], &more[..]].concat());
    }
}

/// Lives of accounts, see `accounts`: devices are added, a thief goes on, the recovery key takes the account back, and
/// each side is shown what the other has.
fn lives(out: &Path) {
    let grows = [0, 0, 3, 0, 1, 0, 0, 0, 0, 0, 7, 1, 1, 0, 0, 0, 3, 0, 0, 0];
    let thief = [0, 0, 3, 0, 1, 0, 0, 2, 0, 2, 1, 1, 0, 0, 1, 2, 2, 4, 1, 0, 0, 2, 1, 0, 2, 2, 0];
    let forged = [0, 0, 3, 4, 16, 0, 0, 0, 0, 2, 0, 1, 0x70, 0, 0, 0, 3, 0, 1, 0x0E, 0, 0, 0, 3, 0, 1, 1, 0];
    let damaged = [0, 0, 3, 0, 1, 0, 1, 1, 0, 20, 9, 0, 0, 7, 0, 1, 0, 3, 0, 80, 0, 0, 0, 0];
    for (number, steps) in [&grows[..], &thief, &forged, &damaged].into_iter().enumerate() {
        let (first, rest) = steps.split_first().expect("steps");
        write(out, "accounts", &format!("life-{number}"), *first, rest);
        write(out, "accounts", &format!("lives-{number}"), *first, &[rest, steps, steps].concat());
    }
}

/// Each kind of proof, of each handle, for the root it leads to and for the next, whole and with a change.
fn questions(out: &Path) {
    for kind in 0..3_u8 {
        for (handle, asked) in [(0, 1), (1, 0), (4, 0), (5, 3), (0, 4)] {
            let name = format!("cross-{kind}-{handle}-{asked}");
            write(out, "proofs", &name, kind, &[8, 8, handle, asked, 0, 0, 0, 0, 0, 0]);
        }
    }
    for kind in 0..4_u8 {
        for handle in 0..6_u8 {
            for (epoch, at) in [(2, 2), (8, 8), (7, 8)] {
                let asked = if kind == 3 { at - 1 } else { handle };
                let name = format!("kind-{kind}-{handle}-{epoch}-{at}");
                write(out, "proofs", &name, kind, &[epoch, at, handle, asked, 0, 1, 0, 0, 40, 3]);
                write(out, "proofs", &format!("{name}-changed"), kind, &[epoch, at, handle, asked, 1, 0, 0, 90, 3]);
            }
        }
    }
}

/// What people make of a group, see `changes`; and what they say to each other, see `contents`.
fn groups(out: &Path) {
    let steps: Vec<u8> = (0..160_u8).map(|place| place.wrapping_mul(37)).collect();
    for (number, who) in (0..6_u8).enumerate() {
        for what in 0..20 {
            write(
                out,
                "changes",
                &format!("does-{number}-{what}"),
                who,
                &[&[0, what, 0x41, who, 1, what, 2, 0], &steps[..]].concat(),
            );
        }
    }
    let field = |number: u8, bytes: &[u8]| {
        let length = [bytes.len() & 0x7F | 0x80, bytes.len() >> 7].map(|part| u8::try_from(part).expect("short"));
        [&[number << 3 | 2], &length[..], bytes].concat()
    };
    let (id, hash) = ([1; 16], [2; 32]);
    let text =
        [&field(1, &id)[..], &[16, 2], &field(3, &hash), &[32, 3, 40, 4], &field(6, &field(1, b"hello"))].concat();
    let receipt = [&[8, 1][..], &field(2, &[1, 2]), &[24, 1], &field(4, &hash)].concat();
    let key = [field(1, &hash), field(2, &[3; 70]), field(3, &hash), field(4, &hash), vec![40, 5]].concat();
    let brought = [field(1, &hash), field(2, &[field(1, &[1; 9]), field(2, &[2; 9])].concat())].concat();
    let again = [field(1, &hash), vec![16, 1, 24, 1]].concat();
    let ask = [field(1, &hash), field(2, &hash)].concat();
    for (number, said) in (1_u8..).zip([text, receipt, again, key, brought, ask]) {
        let content = field(number, &said);
        write(out, "contents", &format!("content-{number}"), 2, &content);
        write(out, "contents", &format!("plain-{number}"), 3, &field(1, &content));
        let to_group = [field(1, &hash), field(2, &hash), field(3, &content)].concat();
        write(out, "contents", &format!("group-plain-{number}"), 4, &to_group);
    }
    let inside = [field(1, &hash), vec![16, 1], field(3, &[3; 70])].concat();
    for spoils in 0..2 {
        write(out, "contents", &format!("inside-{spoils}"), 5, &[&[spoils], &inside[..]].concat());
        for (number, what) in [[16, 1], [24, 1], [32, 2]].into_iter().enumerate() {
            let name = format!("whisper-{spoils}-{number}");
            write(out, "contents", &name, 6, &[&[spoils, 8, 5], &what[..], &[0x80]].concat());
        }
    }
    let ends = [&[0, 5][..], b"walks", b"hush://keys.example.org:4432"].concat();
    write(out, "contents", "link", 1, &[&[1; 152][..], &ends].concat());
}

/// One of everything that is stored by itself.
fn keys(out: &Path) {
    let mut rng = StdRng::seed_from_u64(2000);
    let identity = IdentityKeyPair::generate(&mut rng);
    write(out, "stored", "one-time", 7, &OneTimePreKey::generate(1, &mut rng).to_bytes());
    write(out, "stored", "signed", 7, &SignedPreKey::generate(1, &identity, &mut rng).to_bytes());
    write(out, "stored", "kyber", 7, &KyberPreKey::generate(1, &identity, &mut rng).to_bytes());
    let distribution = DistributionId::from_bytes([0xD1; 16]);
    let ours = OurSenderKey::generate(distribution, &mut rng);
    let keys = SenderKeys::empty(distribution).accept(&ours.distribution_message()).expect("of this distribution");
    write(out, "stored", "our-sender-key", 6, &ours.to_bytes());
    write(out, "stored", "sender-keys", 4, &keys.to_bytes());
}

fn write(out: &Path, target: &str, name: &str, kind: u8, bytes: &[u8]) {
    fs::write(out.join(target).join(name), [&[kind], bytes].concat()).expect("a file that can be written");
}
