//! What the access log costs: reads of a host that writes a line for each, as a share of the rate of one that writes none.

use bulkhead_tests::Site;

use crate::load::Kind;
use crate::rounds::{Things, load, median};

/// Measures and prints.
pub(crate) fn run(rounds: u32, seconds: f64) {
    let sites = ["off", "text", "json"].map(|log| (log, Site::shop()));
    let hosts = sites.each_ref().map(|(log, site)| site.start_with(&["--access-log", log]));
    let files = [0, 1, 2].map(|which| {
        let file = sites[which].1.path("ids");
        Things::make(&mut hosts[which].admin()).write(&file, "");
        file
    });
    println!();
    println!("| access log | measured |");
    println!("| --- | ---: |");
    for connections in [64, 1] {
        let mut ratios = [Vec::new(), Vec::new()];
        for round in 0..rounds {
            let rate = |which: usize| {
                load(Kind::Get, hosts[which].address(), &files[which], connections, seconds).rate
            };
            // Each is first in its turn.
            let mut rates = [0.0; 3];
            for turn in 0..3 {
                let which = (turn + round as usize) % 3;
                rates[which] = rate(which);
            }
            ratios[0].push(rates[1] / rates[0]);
            ratios[1].push(rates[2] / rates[0]);
        }
        for (ratios, (log, _)) in ratios.iter_mut().zip(&sites[1..]) {
            let ratio = median(ratios);
            println!(
                "| GET /products/{{id}} with a line of {log} for each, of the rate without, {connections} connections | {ratio:.2} |"
            );
        }
    }
    for host in hosts {
        host.stop();
    }
}
