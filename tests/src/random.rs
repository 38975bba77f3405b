//! Random numbers that can be had again: each generator prints its seed, and takes it back from `TEST_SEED`.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): small, and good enough to choose
/// when to kill and what to ask for.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Takes the seed from the environment's `TEST_SEED`, or a new one, and prints it: a failed test shows what it printed.
    #[expect(clippy::print_stdout, reason = "the seed belongs to the test's output")]
    pub fn new() -> Random {
        let seed = match std::env::var("TEST_SEED") {
            Ok(text) => text.parse().expect("TEST_SEED is a number"),
            Err(_) => getrandom::u64().expect("the system has random numbers"),
        };
        println!("TEST_SEED={seed}");
        Random { state: seed }
    }

    /// A generator of a known seed, for work that is to be the same in every run.
    pub fn of_seed(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The seed of what is still to come: a generator of it gives the same from here on.
    pub fn seed(&self) -> u64 {
        self.state
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }
}

impl Default for Random {
    fn default() -> Random {
        Random::new()
    }
}
