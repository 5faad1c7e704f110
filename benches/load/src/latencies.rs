//! How often there was which time.

use std::time::Duration;

/// The first bits of a number of nanoseconds that tell times apart: to 1 %.
const BITS: u32 = 7;

pub struct Latencies {
    counts: Vec<u64>,
    count: u64,
}

impl Latencies {
    pub fn new() -> Self {
        Self { counts: vec![0; 64 << BITS], count: 0 }
    }

    pub fn add(&mut self, time: Duration) {
        self.counts[bucket(time.as_nanos() as u64)] += 1;
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time that this part of all does not exceed; zero if there are none.
    pub fn percentile(&self, part: f64) -> Duration {
        let mut left = (self.count() as f64 * part).ceil();
        let found = self.counts.iter().position(|&count| {
            left -= count as f64;
            left <= 0.0
        });
        Duration::from_nanos(found.map_or(0, bucket_begin))
    }
}

/// Numbers of up to `BITS` + 1 bits have a bucket each, and so has each of the first `BITS` + 1 bits of a longer one.
fn bucket(nanoseconds: u64) -> usize {
    let shift = nanoseconds.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
    ((shift << BITS) as usize) + (nanoseconds >> shift) as usize
}

fn bucket_begin(bucket: usize) -> u64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    ((bucket - (shift << BITS)) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_where_it_says() {
        for number in (0..10_000).chain([1 << 20, (1 << 40) - 1, 1 << 40, u64::MAX]) {
            let begin = bucket_begin(bucket(number));
            assert!(begin <= number && number - begin <= number >> BITS, "{number}: {begin}");
            assert_eq!(bucket(begin), bucket(number));
        }
    }

    #[test]
    fn percentiles_of_a_hundred() {
        let mut latencies = Latencies::new();
        (1..=100).for_each(|number| latencies.add(Duration::from_nanos(number)));
        assert_eq!([0.5, 0.99, 1.0].map(|part| latencies.percentile(part).as_nanos()), [50, 99, 100]);
    }
}
