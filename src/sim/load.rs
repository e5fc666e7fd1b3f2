//! CPU, memory and traffic that move: pure functions of (seed, guest, time), so that the list, the
//! charts and a second run of the same demo agree. A daily shape, bursts of some minutes, and noise.

use std::f64::consts::PI;

const DAY: f64 = 86_400.0;
/// A burst fills a part of a slot of this many seconds.
const SLOT: f64 = 1_200.0;

/// What a guest does at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Fraction of its CPUs, 0 to 1.
    pub cpu: f64,
    /// Fraction of its memory, 0 to 1.
    pub mem: f64,
    /// Bytes per second.
    pub netin: f64,
    pub netout: f64,
    pub diskread: f64,
    pub diskwrite: f64,
}

/// The load of guest `id` at `t` (Unix seconds).
pub fn at(seed: u64, id: u32, t: f64) -> Load {
    let p = Profile::of(seed, id);
    let day = (0.5 + 0.5 * (2.0 * PI * (t / DAY + p.phase)).sin()).powf(1.5);
    let burst = p.burst(t);
    let slow = noise(p.key ^ 1, t / 900.0);
    let fast = noise(p.key ^ 2, t / 20.0);
    let cpu = p.base + p.daily * day * (0.7 + 0.6 * slow) + p.burst_height * burst + 0.03 * (fast - 0.5);
    let cpu = cpu.clamp(0.002, 0.99);
    let mem = p.memory + 0.12 * (noise(p.key ^ 3, t / 14_400.0) - 0.5) + 0.05 * day + 0.08 * burst;
    let traffic = p.traffic * (0.15 + day + 3.0 * burst) * (0.4 + 1.2 * fast);
    Load {
        cpu,
        mem: mem.clamp(0.05, 0.96),
        netin: traffic,
        netout: traffic * p.upload,
        diskread: p.disk * (0.2 + 4.0 * burst + day) * noise(p.key ^ 4, t / 45.0),
        diskwrite: p.disk * (0.5 + 2.0 * burst + 0.5 * day) * (0.3 + noise(p.key ^ 5, t / 30.0)),
    }
}

/// What kind of machine it is.
struct Profile {
    key: u64,
    base: f64,
    daily: f64,
    phase: f64,
    burst_height: f64,
    burst_chance: f64,
    memory: f64,
    traffic: f64,
    upload: f64,
    disk: f64,
}

impl Profile {
    fn of(seed: u64, id: u32) -> Self {
        let key = mix(seed ^ (u64::from(id) << 20));
        let part = |n: u64| unit(mix(key ^ (n << 40)));
        // Most machines idle; a few are always busy.
        let busy = part(1).powi(5);
        Self {
            key,
            base: 0.01 + 0.4 * busy,
            daily: 0.03 + 0.25 * part(2).powi(3),
            phase: -0.25 + 0.2 * (part(3) - 0.5),
            burst_height: 0.25 + 0.6 * part(4),
            burst_chance: 0.02 + 0.08 * part(5),
            memory: 0.25 + 0.5 * part(6),
            traffic: 2_000.0 * 10f64.powf(2.6 * part(7)),
            upload: 0.2 + 2.0 * part(8) * part(8),
            disk: 4_000.0 * 10f64.powf(2.3 * part(9)),
        }
    }

    /// 0 to 1: how far into a burst.
    fn burst(&self, t: f64) -> f64 {
        let slot = (t / SLOT).floor();
        let key = mix(self.key ^ slot.to_bits());
        if unit(key) > self.burst_chance {
            return 0.0;
        }
        let (start, length) = (0.4 * unit(mix(key ^ 7)), 0.2 + 0.4 * unit(mix(key ^ 8)));
        let inside = ((t / SLOT - slot) - start) / length;
        if (0.0..1.0).contains(&inside) { (PI * inside).sin().powf(0.5) } else { 0.0 }
    }
}

/// Smooth noise, 0 to 1, with one new value per unit of `x`.
fn noise(key: u64, x: f64) -> f64 {
    let cell = x.floor();
    let (a, b) = (unit(mix(key ^ cell.to_bits())), unit(mix(key ^ (cell + 1.0).to_bits())));
    let blend = 0.5 - 0.5 * (PI * (x - cell)).cos();
    a + (b - a) * blend
}

/// splitmix64's finisher.
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 0 to 1.
pub fn unit(z: u64) -> f64 {
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_guest_and_time_give_the_same_load_and_others_give_another() {
        assert_eq!(at(7, 100, 1e9), at(7, 100, 1e9));
        assert_ne!(at(7, 100, 1e9), at(7, 101, 1e9));
        assert_ne!(at(7, 100, 1e9), at(8, 100, 1e9));
    }

    #[test]
    fn load_stays_a_fraction_and_moves_over_a_day() {
        for id in 100..160 {
            let samples: Vec<f64> = (0..288).map(|i| at(1, id, 1.7e9 + f64::from(i) * 300.0).cpu).collect();
            assert!(samples.iter().all(|c| (0.0..=1.0).contains(c)));
            let (low, high) = samples.iter().fold((1.0_f64, 0.0_f64), |(l, h), c| (l.min(*c), h.max(*c)));
            assert!(high - low > 0.02, "guest {id} does not move: {low} to {high}");
        }
    }
}
