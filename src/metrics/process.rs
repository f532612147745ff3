//! Measures what the process itself takes: the Collector's metrics of that, where the system tells them cheaply.

use std::fs;
use std::time::Duration;

use super::{Family, Info, Reading, names};

/// Ticks of a second in `/proc/self/stat` (`USER_HZ`), on every architecture that Rust has a `std` for.
const TICKS: f64 = 100.0;

/// Reads them. On other systems than Linux it is the uptime alone.
pub fn process(uptime: Duration) -> Vec<Family> {
    let family = |info: &Info, reading| Family { info: *info, series: vec![(Vec::new(), reading)] };
    let read = |file| fs::read_to_string(file).ok();
    let cpu = read("/proc/self/stat").and_then(|stat| cpu_seconds(&stat));
    let memory = read("/proc/self/status").and_then(|status| resident(&status));
    let uptime = Reading::Seconds(uptime.as_secs_f64());
    [
        cpu.map(|seconds| family(names::PROCESS_CPU.info(), Reading::Seconds(seconds))),
        memory.map(|bytes| family(names::PROCESS_MEMORY.info(), Reading::Gauge(bytes))),
        Some(family(names::PROCESS_UPTIME.info(), uptime)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Reads user and system time (proc_pid_stat(5), fields 14 and 15).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS)
}

/// Reads the resident set (proc_pid_status(5)), in bytes.
fn resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat = "8 (a) b) S 1 8 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 1 0 77 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!((cpu_seconds("8 (a) S 1"), resident("Name:\tx\n")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_there() {
        let all = process(Duration::from_millis(1500));
        let names: Vec<&str> = all.iter().map(|family| family.info.name).collect();
        let expected =
            ["otelcol_process_cpu_seconds", "otelcol_process_memory_rss", "otelcol_process_uptime"];
        assert_eq!(names, expected);
        assert!(matches!(all[1].series[0].1, Reading::Gauge(bytes) if bytes > 1 << 20));
        assert_eq!(all[2].series[0].1, Reading::Seconds(1.5));
    }
}
