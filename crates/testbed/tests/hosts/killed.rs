//! A run killed at any moment is gone on with by the next.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::bed::Bed;
use crate::controller::Controller;

const HOSTS: [&str; 4] = ["node01", "node02", "node03", "node04"];
const ROUNDS: u32 = 5;

/// One host, made new; its run killed after a share of what a whole run takes; gone on with; and once more. Whether the
/// second run took something over.
fn kill_and_go_on(bed: &Bed, host: &str, whole: Duration, share: f64) -> bool {
    bed.run(&["reset", host]);
    // Packages that take their time, as kernels do: there is something to take over.
    bed.shell(host, "touch /var/lib/testbed/slow");
    let controller = Controller::new(bed, &[(host, "")], &format!("control_plane: {host}"));
    let mut command = controller.command(&["apply", "-y", "--tags", "known_hosts,servers"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It is to be killed at a moment that nothing tells of, wherever it is by then.
    thread::sleep(whole.mul_f64(share));
    child.kill().unwrap();
    child.wait().unwrap();
    let next = controller.apply(&[]);
    assert!(next.converged(), "{host}, killed at {share:.2} of its way: {:#?}\n{}", next.troubles(), next.stderr);
    let again = controller.apply(&[]);
    assert!(again.changed_nothing(), "{host}, killed at {share:.2} of its way: {again:#?}");
    let starts = bed.shell(host, "zgrep -h -c '^Commandline: apt-get.* dist-upgrade' /var/log/apt/history.log || :");
    assert_eq!(starts, "1", "{host}: the upgrade ran {starts} times, killed at {share:.2} of its way");
    next.outcomes().values().any(|outcome| outcome == "took_over")
}

#[test]
#[ignore = "needs root and real hosts"]
fn at_twenty_moments() {
    let bed = Bed::up("killed", &["--nodes", "4"]);
    bed.shell("node01", "touch /var/lib/testbed/slow");
    let controller = Controller::new(&bed, &[("node01", "")], "");
    let began = Instant::now();
    assert!(controller.apply(&[]).converged());
    let whole = began.elapsed();
    let mut took_over = 0;
    for round in 0..ROUNDS {
        let results = thread::scope(|scope| {
            let running: Vec<_> = HOSTS
                .iter()
                .enumerate()
                .map(|(at, host)| {
                    // Somewhere in its own twentieth of the way.
                    let twentieth = f64::from(round * 4 + u32::try_from(at).unwrap());
                    let share = (twentieth + fastrand::f64()) / f64::from(ROUNDS * 4);
                    let bed = &bed;
                    scope.spawn(move || kill_and_go_on(bed, host, whole, share))
                })
                .collect();
            running.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        took_over += results.into_iter().filter(|one| *one).count();
    }
    assert!(took_over > 0, "no run took anything over: the moments were all between jobs");
    println!("a whole run takes {whole:.1?}; {took_over} of 20 took a job over");
}
