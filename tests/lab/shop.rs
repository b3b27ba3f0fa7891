//! A small shop for fault injection: gateway → checkout → payment, each an HTTP server. Checkout has a database pool.
//!
//! Serves Prometheus metrics on `/metrics`, writes JSON logs to a folder, and simulates customers who place orders.
//! `POST /fault/NAME` on the gateway injects a fault: pool_exhaustion, bad_deploy, slow_dependency, memory_leak or none.
//!
//! Usage: shop GATEWAY_PORT CHECKOUT_PORT PAYMENT_PORT LOG_FOLDER

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const POOL_SIZE: usize = 20;
const POOL_TIMEOUT: Duration = Duration::from_secs(1);
const ORDERS_PER_SECOND: u64 = 20;
/// The largest number of orders in progress; further orders are skipped. Limits the threads when everything hangs.
const MAX_IN_PROGRESS: usize = 120;

const NO_FAULT: u8 = 0;
const POOL_EXHAUSTION: u8 = 1;
const BAD_DEPLOY: u8 = 2;
const SLOW_DEPENDENCY: u8 = 3;
const MEMORY_LEAK: u8 = 4;

/// A pseudo-random number below `n`; the sequence is the same in each run.
fn random_below(n: u64) -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut x = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % n
}

struct Shop {
    fault: AtomicU8,
    /// Connections in use, and requests that wait for one.
    pool: Mutex<(usize, usize)>,
    pool_freed: Condvar,
    leaked: Mutex<Vec<Vec<u8>>>,
    ports: [u16; 3],
}

struct Service {
    name: &'static str,
    shop: Arc<Shop>,
    requests: Mutex<BTreeMap<u16, u64>>,
    /// The counts of the histogram buckets, the number of requests and the sum of seconds.
    durations: Mutex<([u64; BUCKETS.len()], u64, f64)>,
    log: Mutex<File>,
}

impl Service {
    fn log(&self, level: &str, message: &str, extra: &str) {
        let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
        let line =
            format!("{{\"ts\":\"{now}\",\"level\":\"{level}\",\"service\":\"{}\",\"msg\":{message:?}{extra}}}\n", self.name);
        let _full_disk = self.log.lock().unwrap().write_all(line.as_bytes());
    }

    fn version(&self) -> &'static str {
        // These two faults start with a release.
        match (self.name, self.shop.fault.load(Ordering::Relaxed)) {
            ("payment", BAD_DEPLOY) | ("checkout", POOL_EXHAUSTION) => "1.42.0",
            _ => "1.41.3",
        }
    }

    fn record(&self, code: u16, took: Duration) {
        *self.requests.lock().unwrap().entry(code).or_default() += 1;
        let mut d = self.durations.lock().unwrap();
        let secs = took.as_secs_f64();
        for (i, bound) in BUCKETS.iter().enumerate() {
            d.0[i] += u64::from(secs <= *bound);
        }
        d.1 += 1;
        d.2 += secs;
    }

    fn metrics(&self) -> String {
        let s = self.name;
        let mut out = String::from("# TYPE http_requests_total counter\n");
        // Export every counter from the start: `rate()` would miss the first errors of a counter that appears with them.
        for (code, count) in [(200, 0), (500, 0), (502, 0), (503, 0)]
            .into_iter()
            .chain(self.requests.lock().unwrap().clone())
            .collect::<BTreeMap<u16, u64>>()
        {
            out.push_str(&format!("http_requests_total{{service=\"{s}\",code=\"{code}\"}} {count}\n"));
        }
        let d = self.durations.lock().unwrap();
        out.push_str("# TYPE http_request_duration_seconds histogram\n");
        for (bound, count) in BUCKETS.iter().zip(d.0) {
            out.push_str(&format!("http_request_duration_seconds_bucket{{service=\"{s}\",le=\"{bound}\"}} {count}\n"));
        }
        out.push_str(&format!("http_request_duration_seconds_bucket{{service=\"{s}\",le=\"+Inf\"}} {}\n", d.1));
        out.push_str(&format!("http_request_duration_seconds_sum{{service=\"{s}\"}} {}\nhttp_request_duration_seconds_count{{service=\"{s}\"}} {}\n", d.2, d.1));
        if let Some(peer) = match s {
            "gateway" => Some("checkout"),
            "checkout" => Some("payment"),
            _ => None,
        } {
            out.push_str(&format!(
                "# TYPE http_client_requests_total counter\nhttp_client_requests_total{{service=\"{s}\",peer_service=\"{peer}\"}} {}\n",
                d.1
            ));
        }
        out.push_str(&format!("build_info{{service=\"{s}\",version=\"{}\"}} 1\n", self.version()));
        if s == "checkout" {
            let (in_use, waiting) = *self.shop.pool.lock().unwrap();
            out.push_str(&format!("db_pool_in_use{{service=\"{s}\"}} {in_use}\ndb_pool_waiting{{service=\"{s}\"}} {waiting}\ndb_pool_size{{service=\"{s}\"}} {POOL_SIZE}\n"));
            let leaked: usize = self.shop.leaked.lock().unwrap().iter().map(Vec::len).sum();
            out.push_str(&format!("heap_in_use_bytes{{service=\"{s}\"}} {}\n", 60_000_000 + leaked));
        }
        out
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, gateway, checkout, payment, folder] = args.as_slice() else {
        panic!("usage: shop GATEWAY_PORT CHECKOUT_PORT PAYMENT_PORT LOG_FOLDER");
    };
    let ports = [gateway, checkout, payment].map(|p| p.parse().expect("a port"));
    let shop = Arc::new(Shop {
        fault: AtomicU8::new(NO_FAULT),
        pool: Mutex::new((0, 0)),
        pool_freed: Condvar::new(),
        leaked: Mutex::default(),
        ports,
    });
    for (name, port) in ["gateway", "checkout", "payment"].into_iter().zip(ports) {
        let log =
            OpenOptions::new().create(true).append(true).open(Path::new(folder).join(format!("{name}.log"))).expect("a log file");
        let service = Arc::new(Service {
            name,
            shop: Arc::clone(&shop),
            requests: Mutex::default(),
            durations: Mutex::default(),
            log: Mutex::new(log),
        });
        service.log("info", "listening", &format!(",\"port\":{port},\"version\":\"{}\"", service.version()));
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let service = Arc::clone(&service);
                std::thread::spawn(move || {
                    let _disconnected = serve(stream, &service);
                });
            }
        });
    }
    place_orders(&shop);
}

/// Places orders at a steady rate, forever.
fn place_orders(shop: &Arc<Shop>) {
    let in_progress = Arc::new(AtomicU64::new(0));
    for order in 1_u64.. {
        std::thread::sleep(Duration::from_millis(1000 / ORDERS_PER_SECOND));
        if in_progress.load(Ordering::Relaxed) > MAX_IN_PROGRESS as u64 {
            continue;
        }
        let (port, in_progress) = (shop.ports[0], Arc::clone(&in_progress));
        in_progress.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(move || {
            let _answer = call(port, &format!("/order/{order}"));
            in_progress.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Sends a GET request to another service; returns the status.
fn call(port: u16, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(12)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0))
}

fn serve(mut stream: TcpStream, service: &Service) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < 8192 {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        head.extend_from_slice(&buffer[..n]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split_whitespace().nth(1).unwrap_or("/").to_owned();
    let answer = |stream: &mut TcpStream, code: u16, body: &str| {
        stream.write_all(
            format!(
                "HTTP/1.0 {code} X\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
    };
    if path == "/metrics" {
        return answer(&mut stream, 200, &service.metrics());
    }
    if let Some(name) = path.strip_prefix("/fault/") {
        let fault = match name {
            "pool_exhaustion" => POOL_EXHAUSTION,
            "bad_deploy" => BAD_DEPLOY,
            "slow_dependency" => SLOW_DEPENDENCY,
            "memory_leak" => MEMORY_LEAK,
            "none" => NO_FAULT,
            _ => return answer(&mut stream, 404, "unknown fault"),
        };
        service.shop.fault.store(fault, Ordering::Relaxed);
        return answer(&mut stream, 200, "ok");
    }
    let started = Instant::now();
    let code = match service.name {
        "gateway" => gateway(service, &path),
        "checkout" => checkout(service, &path),
        _ => payment(service, &path),
    };
    service.record(code, started.elapsed());
    answer(&mut stream, code, "")
}

/// The `trace_id` field of an order, as a tracing library adds it to each log line.
fn trace(path: &str) -> String {
    let n: u64 = order(path).parse().unwrap_or(0);
    format!(",\"trace_id\":\"{:016x}{:016x}\"", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n)
}

/// The number of the order in a path.
fn order(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("?")
}

fn gateway(s: &Service, path: &str) -> u16 {
    std::thread::sleep(Duration::from_millis(2 + random_below(3)));
    match call(s.shop.ports[1], path) {
        Ok(200) => {
            if random_below(10) == 0 {
                s.log("info", "order accepted", &format!(",\"order\":{}{}", order(path), trace(path)));
            }
            200
        }
        Ok(code) => {
            s.log("warn", &format!("upstream checkout answered {code} for order {}", order(path)), &trace(path));
            502
        }
        Err(e) => {
            s.log("error", &format!("upstream checkout failed for order {}: {}", order(path), e.kind()), &trace(path));
            502
        }
    }
}

fn checkout(s: &Service, path: &str) -> u16 {
    let fault = s.shop.fault.load(Ordering::Relaxed);
    let waited = Instant::now();
    let mut pool = s.shop.pool.lock().unwrap();
    pool.1 += 1;
    while pool.0 >= POOL_SIZE {
        let left = POOL_TIMEOUT.saturating_sub(waited.elapsed());
        if left.is_zero() {
            pool.1 -= 1;
            let (in_use, waiting) = *pool;
            drop(pool);
            s.log(
                "error",
                &format!(
                    "could not get a database connection: pool exhausted after {} ms (in_use={in_use}, waiting={waiting})",
                    waited.elapsed().as_millis()
                ),
                &format!(",\"order\":{}{}", order(path), trace(path)),
            );
            return 503;
        }
        pool = s.shop.pool_freed.wait_timeout(pool, left).unwrap().0;
    }
    pool.0 += 1;
    pool.1 -= 1;
    drop(pool);
    // During the fault, queries miss their index and hold a connection for seconds.
    let query = if fault == POOL_EXHAUSTION {
        Duration::from_millis(2500 + random_below(1500))
    } else {
        Duration::from_millis(20 + random_below(40))
    };
    if fault == POOL_EXHAUSTION && random_below(8) == 0 {
        s.log(
            "warn",
            &format!("slow query: SELECT * FROM cart_items WHERE session = $1 took {} ms", query.as_millis()),
            &trace(path),
        );
    }
    std::thread::sleep(query);
    s.shop.pool.lock().unwrap().0 -= 1;
    s.shop.pool_freed.notify_one();
    if fault == MEMORY_LEAK {
        s.shop.leaked.lock().unwrap().push(vec![0; 200_000]);
    }
    match call(s.shop.ports[2], path) {
        Ok(200) => {
            if random_below(10) == 0 {
                s.log(
                    "info",
                    "order placed",
                    &format!(
                        ",\"order\":{},\"email\":\"customer{}@example.com\"{}",
                        order(path),
                        random_below(1000),
                        trace(path)
                    ),
                );
            }
            200
        }
        Ok(code) => {
            s.log("error", &format!("payment of order {} failed: payment answered {code}", order(path)), &trace(path));
            500
        }
        Err(e) => {
            s.log("error", &format!("payment of order {} failed: {}", order(path), e.kind()), &trace(path));
            500
        }
    }
}

fn payment(s: &Service, path: &str) -> u16 {
    let fault = s.shop.fault.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(if fault == SLOW_DEPENDENCY {
        2000 + random_below(1500)
    } else {
        10 + random_below(20)
    }));
    if fault == BAD_DEPLOY && random_below(3) == 0 {
        s.log("error", "panic: runtime error: nil PriceRule in applyDiscount", &format!(",\"order\":{},\"version\":\"1.42.0\",\"stack\":\"goroutine 12 [running]:\\nmain.applyDiscount(0x0)\\n\\tpricing.go:87\"{}", order(path), trace(path)));
        return 500;
    }
    if random_below(20) == 0 {
        s.log(
            "info",
            "payment captured",
            &format!(",\"order\":{},\"amount_cents\":{}{}", order(path), 500 + random_below(9000), trace(path)),
        );
    }
    200
}
