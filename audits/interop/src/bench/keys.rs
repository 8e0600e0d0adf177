//! Curve25519 by itself: the official library offers it without promises and stores.

use std::hint::black_box;

use hushwire_crypto::{IdentityKeyPair, KeyPair};

use super::ours::{Form, Operation, TEXT, Work, failed, timed};

pub(crate) fn operations() -> Vec<Operation> {
    let of = |name, key, work| Operation { name, key, count: 200, forms: &[Form::Held][..], work: Some(work) };
    vec![
        of("X25519: agree", "agree", agree()),
        of("XEdDSA: sign 1 KB", "sign", sign()),
        of("XEdDSA: verify 1 KB", "verify", verify()),
    ]
}

fn agree() -> Work {
    let [ours, theirs] = [(); 2].map(|()| KeyPair::generate(&mut rand::rng()));
    Box::new(move |_, count| {
        timed(count, |_| black_box(&ours).agree(&theirs.public()).map(|secret| drop(black_box(secret))).map_err(failed))
    })
}

fn sign() -> Work {
    let key = IdentityKeyPair::generate(&mut rand::rng());
    Box::new(move |_, count| {
        timed(count, |_| {
            black_box(key.sign(&[black_box(&TEXT)], &mut rand::rng()));
            Ok(())
        })
    })
}

fn verify() -> Work {
    let key = IdentityKeyPair::generate(&mut rand::rng());
    let signature = key.sign(&[&TEXT], &mut rand::rng());
    Box::new(move |_, count| {
        timed(count, |_| {
            let holds = black_box(key.public()).verify(&[black_box(&TEXT)], &signature);
            if holds { Ok(()) } else { Err("a signature does not hold".to_owned()) }
        })
    })
}
