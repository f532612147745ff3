//! An exporter that sends to a receiver of the same process feeds itself for ever: found by what both
//! have written, before anything is opened.

use std::net::IpAddr;

use super::pipelines::Defined;
use crate::settings::Problems;

/// Adds an error for every exporter in use that points at a receiver in use.
pub(super) fn check(defined: &Defined, problems: &mut Problems) {
    for exporter in defined.exporters.iter().filter(|c| c.used) {
        let targets = exporter.config().map(|config| config.targets()).unwrap_or_default();
        for (field, host, port) in targets {
            let own = defined.receivers.iter().filter(|c| c.used).find(|receiver| {
                let all = receiver.config().map(|config| config.listens()).unwrap_or_default();
                all.into_iter().any(|listening| is_same(listening, &host, port))
            });
            if let Some(receiver) = own {
                let message = format!(
                    "is where the receiver `{}` of this process listens: what it sends would come \
                     back; choose another port for one of them",
                    receiver.id
                );
                let mark = exporter.mark_of(field);
                problems.error(mark, format!("exporters::{}::{field}", exporter.id), message);
            }
        }
    }
}

/// Says whether what is sent to `host` and `port` arrives at `listening`, as far as names tell.
fn is_same(listening: &str, host: &str, port: u16) -> bool {
    let Some((own, own_port)) = listening.rsplit_once(':') else { return false };
    if own_port.parse() != Ok(port) || port == 0 {
        return false;
    }
    let (own, host) = (bare(own), bare(host));
    let (own_ip, ip) = (own.parse::<IpAddr>().ok(), host.parse::<IpAddr>().ok());
    let here = |name: &str, ip: Option<IpAddr>| {
        name.eq_ignore_ascii_case("localhost") || ip.is_some_and(|ip| ip.is_loopback())
    };
    let everywhere = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.is_unspecified());
    own.eq_ignore_ascii_case(host)
        || ((here(host, ip) || everywhere(ip)) && (here(own, own_ip) || everywhere(own_ip)))
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_port_here_is_the_same_place_whatever_this_machine_is_called() {
        for (listening, host, port, same) in [
            ("localhost:4317", "localhost", 4317, true),
            ("localhost:4317", "127.0.0.1", 4317, true),
            ("0.0.0.0:4317", "[::1]", 4317, true),
            ("[::]:4317", "localhost", 4317, true),
            ("gateway.example.com:4317", "Gateway.example.com", 4317, true),
            ("localhost:4317", "localhost", 4318, false),
            ("localhost:0", "localhost", 0, false),
            ("0.0.0.0:4317", "collector", 4317, false),
            ("localhost:4317", "10.0.0.1", 4317, false),
        ] {
            assert_eq!(is_same(listening, host, port), same, "{listening} {host}:{port}");
        }
    }
}
