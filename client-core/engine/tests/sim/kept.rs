//! Seeds that once showed that something did not hold. They draw other schedules as the simulation grows, and cost nothing.

/// With honest relays.
pub(crate) const HONEST: &[u64] = &[85, 118, 5011, 5094, 5147, 5215, 5335, 5342];

/// With one that lies.
pub(crate) const EVIL: &[u64] = &[63];

/// With groups and a relay that lies.
pub(crate) const EVIL_GROUPS: &[u64] = &[5, 54, 198, 246, 382, 600, 1044, 1624, 2521];

/// With groups: people who were brought in again, in by a change that became void, or texts before they were known; who were
/// out by a change that had no effect, or lacked what came before they were put out; keys of strangers that came too early; texts
/// that waited while somebody came in; and changes that some had refused as an outsider's.
pub(crate) const GROUPS: &[u64] = &[
    1, 4, 5, 7, 10, 12, 14, 20, 32, 42, 51, 83, 88, 89, 101, 108, 113, 119, 147, 153, 209, 219, 228, 255, 282, 496,
    585, 619, 630, 686, 846, 868, 893, 964, 1467, 2521, 2913, 3190, 3898, 4101, 4948, 5168, 5893, 102874,
];
