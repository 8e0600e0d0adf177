//! The field GF(2^16) of the erasure code: polynomials over GF(2) modulo `x^16 + x^12 + x^3 + x + 1`.
//!
//! An element is its 16-bit integer and addition is XOR. Multiplication has neither tables nor branches on its
//! operands: sixteen lanes at a time the compiler makes vector instructions of it, which is fast enough, costs no
//! memory, and leaves nothing to the cache.
//!
//! Spec: signal-wire §4.6.

/// `x^16` in terms of smaller powers.
const X16: u16 = 0x100B;

/// Sixteen elements that are treated alike: the lanes of one chunk.
pub(super) type Lanes = [u16; 16];

/// `a · b`.
pub(super) const fn mul(a: u16, b: u16) -> u16 {
    let (mut power, mut product, mut bit) = (a, 0, 0);
    while bit < u16::BITS {
        product ^= power & choose(b >> bit);
        power = times_x(power);
        bit += 1;
    }
    product
}

/// `1 / a`, and 0 for 0.
pub(super) const fn invert(a: u16) -> u16 {
    // a^(2^16 − 2), the product of the squares a^2, a^4, …, a^(2^15).
    let (mut square, mut product, mut step) = (a, 1, 1);
    while step < u16::BITS {
        square = mul(square, square);
        product = mul(product, square);
        step += 1;
    }
    product
}

/// `sum + factor · lanes`, lane by lane.
pub(super) fn add_scaled(mut sum: Lanes, factor: u16, mut lanes: Lanes) -> Lanes {
    for bit in 0..u16::BITS {
        let chosen = choose(factor >> bit);
        for (to, power) in sum.iter_mut().zip(&mut lanes) {
            *to ^= *power & chosen;
            *power = times_x(*power);
        }
    }
    sum
}

const fn times_x(a: u16) -> u16 {
    (a << 1) ^ (X16 & choose(a >> 15))
}

/// All ones if the lowest bit is set, else zero.
const fn choose(bits: u16) -> u16 {
    0u16.wrapping_sub(bits & 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_modulus_is_the_one_of_the_spec() {
        assert_eq!(mul(0x8000, 2), X16);
        let x30 = (0..15).fold(0x8000, |a, _| times_x(a));
        assert_eq!(mul(0x8000, 0x8000), x30);
    }

    #[test]
    fn every_element_but_zero_has_an_inverse() {
        assert_eq!(invert(0), 0);
        for a in 1..=u16::MAX {
            assert_eq!(mul(a, invert(a)), 1, "{a}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_commutative_ring(a: u16, b: u16, c: u16) {
            prop_assert_eq!(mul(a, b), mul(b, a));
            prop_assert_eq!(mul(mul(a, b), c), mul(a, mul(b, c)));
            prop_assert_eq!(mul(a, b ^ c), mul(a, b) ^ mul(a, c));
            prop_assert_eq!(mul(a, 1), a);
            prop_assert_eq!(mul(a, 0), 0);
        }

        #[test]
        fn lanes_are_multiplied_one_by_one(sum: Lanes, factor: u16, lanes: Lanes) {
            let together = add_scaled(sum, factor, lanes);
            let apart = std::array::from_fn(|i| sum[i] ^ mul(factor, lanes[i]));
            prop_assert_eq!(together, apart);
        }
    }
}
