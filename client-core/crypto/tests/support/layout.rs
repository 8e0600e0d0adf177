//! The layout of stored sessions, read apart from the code that writes them: version 1.
//!
//! Numbers are big-endian. The record is `1`, then the current session behind a byte that says whether there is one, then the
//! archived ones behind their number. Only the first session is read here.

/// The secrets in a stored session, and where its post-quantum exchange stands.
pub struct Layout<'a> {
    pub root: &'a [u8],
    pub ratchet: &'a [u8],
    pub sending: &'a [u8],
    pub receiving: Vec<Receiving<'a>>,
    pub spqr_root: &'a [u8],
    pub epochs: Vec<Epoch<'a>>,
    pub authenticator: &'a [u8],
    /// 1 to 11, in the order of signal-wire §4.7.
    pub state: u8,
    /// What belongs to the state.
    pub exchange: &'a [u8],
}

pub struct Receiving<'a> {
    pub chain: &'a [u8],
    pub skipped: Vec<&'a [u8]>,
}

pub struct Epoch<'a> {
    pub sending: Option<&'a [u8]>,
    pub sent: u32,
    pub receiving: &'a [u8],
    pub kept: Vec<&'a [u8]>,
}

impl<'a> Layout<'a> {
    pub fn of(stored: &'a [u8]) -> Layout<'a> {
        let mut from = Fields(stored);
        assert_eq!(from.take(2), [1, 1], "layout 1, and there is a session");
        from.take(3 * 32 + 2 * 4); // base key, both identities, both registration ids
        if from.byte() == 1 {
            if from.byte() == 1 {
                from.u32(); // the one-time prekey
            }
            from.take(2 * 4 + 1569 + 8); // signed and Kyber prekey, ciphertext, time
        }
        let (root, ratchet, sending) = (from.take(32), from.take(32), from.take(32));
        from.take(4 + 4); // its number, the previous counter
        let receiving = (0..from.u32()).map(|_| {
            from.take(32); // their ratchet key
            let chain = from.take(32);
            from.u32();
            Receiving { chain, skipped: from.numbered() }
        });
        let receiving = receiving.collect();

        from.take(4 + 3 + 2 * 8); // SPQR's length, version, peer's version, role, epoch, send epoch
        let spqr_root = from.take(32);
        let epochs = (0..from.byte()).map(|_| {
            let sending = if from.byte() == 1 { Some(from.take(32)) } else { None };
            let (sent, receiving) = (from.u32(), from.take(32));
            from.u32();
            let kept = (0..u16::from_be_bytes(from.take(2).try_into().unwrap())).map(|_| &from.take(36)[4..]);
            Epoch { sending, sent, receiving, kept: kept.collect() }
        });
        let epochs = epochs.collect();
        from.take(8); // the exchange's epoch
        let (authenticator, state) = (from.take(64), from.byte());
        Layout { root, ratchet, sending, receiving, spqr_root, epochs, authenticator, state, exchange: from.0 }
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    /// Secrets behind their number, each behind its index.
    fn numbered(&mut self) -> Vec<&'a [u8]> {
        (0..self.u32()).map(|_| &self.take(36)[4..]).collect()
    }
}
