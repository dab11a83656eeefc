//! What is known about a URL before it is called: its origin with the connections, and the head of its requests.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Uri};
use statera_config::UrlTemplate;
use statera_model::FunctionType;

use crate::pool::{Body, Pool};
use crate::settings::{Dialect, Settings};
use crate::statistics::Counters;
use crate::url::{Place, Url};

/// Function types whose URL is remembered. With a pattern of a namespace the names come from messages, so their number
/// has no other bound.
const TARGETS_MAX: usize = 1024;
/// Origins whose connections are found again. More than one occur with redirects, and where a host name holds the name
/// of the function.
const ORIGINS_MAX: usize = 1024;

pub(crate) const OCTET_STREAM: &str = "application/octet-stream";
/// Of the W3C trace context.
const TRACEPARENT: &str = "traceparent";
const USER_AGENT: &str = concat!("statera/", env!("CARGO_PKG_VERSION"));

/// Where connections go, and those that are there.
pub(crate) struct Origin {
    pub(crate) place: Place,
    pub(crate) pool: Rc<Pool>,
    /// Held while a connection is made that may turn out to be HTTP/2, so that a crowd of first calls makes only one.
    pub(crate) making: tokio::sync::Mutex<()>,
    /// Whether the server was offered HTTP/2 and declined.
    pub(crate) declined_http2: Cell<bool>,
}

/// A URL, ready to be called.
pub(crate) struct Target {
    pub(crate) url: Url,
    pub(crate) origin: Rc<Origin>,
    http1: Head,
    /// Only where it may be needed.
    http2: Option<Head>,
}

/// What is sent, apart from what is the same for all that is sent to a target.
pub(crate) struct Call {
    pub(crate) body: Bytes,
    pub(crate) traceparent: Option<HeaderValue>,
}

struct Head {
    uri: Uri,
    headers: HeaderMap,
}

impl Target {
    pub(crate) fn http1_request(&self, call: &Call) -> Request<Body> {
        self.http1.request(call)
    }

    pub(crate) fn http2_request(&self, call: &Call) -> Request<Body> {
        self.http2.as_ref().unwrap_or(&self.http1).request(call)
    }
}

impl Head {
    fn request(&self, call: &Call) -> Request<Body> {
        let mut request = Request::new(Body::new(call.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(traceparent) = &call.traceparent {
            request.headers_mut().insert(TRACEPARENT, traceparent.clone());
        }
        request
    }
}

/// All targets of a client.
pub(crate) struct Targets {
    template: UrlTemplate,
    dialect: Dialect,
    connections_max: usize,
    counters: Rc<Counters>,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    /// Set where the URL does not depend on the function.
    single: Option<Rc<Target>>,
    by_function: HashMap<FunctionType, Rc<Target>, foldhash::fast::RandomState>,
    /// The keys of `by_function`, the oldest first.
    order: VecDeque<FunctionType>,
    /// The oldest first.
    origins: VecDeque<Rc<Origin>>,
}

impl Targets {
    pub(crate) fn new(
        template: UrlTemplate,
        settings: &Settings,
        counters: &Rc<Counters>,
    ) -> Targets {
        Targets {
            template,
            dialect: settings.dialect,
            connections_max: settings.connections_max,
            counters: Rc::clone(counters),
            known: RefCell::default(),
        }
    }

    /// The target for functions of a type.
    ///
    /// # Errors
    /// The URL, and what is wrong with it.
    pub(crate) fn of(&self, function: &FunctionType) -> Result<Rc<Target>, (String, String)> {
        {
            let known = self.known.borrow();
            let found = known.single.as_ref().or_else(|| known.by_function.get(function));
            if let Some(target) = found {
                return Ok(Rc::clone(target));
            }
        }
        let text = self.template.url(function);
        let url = Url::parse(&text).map_err(|reason| (text, reason))?;
        let target = self.target(url);
        self.known.borrow_mut().remember(&self.template, function, &target);
        Ok(target)
    }

    /// The target for a URL that is not the template's: that of a redirect.
    pub(crate) fn target(&self, url: Url) -> Rc<Target> {
        let origin = self.origin(&url.place);
        let http1 = Head { uri: path(&url), headers: self.headers(Some(&url.host)) };
        let may_be_http2 = self.dialect == Dialect::OkHttp && matches!(url.place, Place::Tls(_));
        let http2 = may_be_http2.then(|| Head { uri: full(&url), headers: self.headers(None) });
        Rc::new(Target { url, origin, http1, http2 })
    }

    fn origin(&self, place: &Place) -> Rc<Origin> {
        let mut known = self.known.borrow_mut();
        if let Some(origin) = known.origins.iter().find(|origin| origin.place == *place) {
            return Rc::clone(origin);
        }
        let origin = Rc::new(Origin {
            place: place.clone(),
            pool: Rc::new(Pool::new(self.connections_max, Rc::clone(&self.counters))),
            making: tokio::sync::Mutex::default(),
            declined_http2: Cell::new(false),
        });
        if known.origins.len() >= ORIGINS_MAX {
            known.origins.pop_front();
        }
        known.origins.push_back(Rc::clone(&origin));
        origin
    }

    /// As those of StateFun. HTTP/2 has neither `Host` nor `Connection`; hyper adds the length.
    fn headers(&self, host: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut insert = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if let Some(host) = host {
            insert(header::HOST, host);
            insert(header::CONNECTION, "keep-alive");
        }
        insert(header::CONTENT_TYPE, OCTET_STREAM);
        match self.dialect {
            Dialect::Async => {
                insert(header::ACCEPT, OCTET_STREAM);
                insert(header::ACCEPT_ENCODING, "gzip,deflate");
            }
            Dialect::OkHttp => insert(header::ACCEPT_ENCODING, "gzip"),
        }
        insert(header::USER_AGENT, USER_AGENT);
        headers
    }
}

impl Known {
    fn remember(&mut self, template: &UrlTemplate, function: &FunctionType, target: &Rc<Target>) {
        if target.url.text == template.text {
            self.single = Some(Rc::clone(target));
            return;
        }
        if self.order.len() >= TARGETS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_function.remove(&oldest);
        }
        self.order.push_back(function.clone());
        self.by_function.insert(function.clone(), Rc::clone(target));
    }
}

fn path(url: &Url) -> Uri {
    url.path.parse().expect("the path of a parsed URL is valid")
}

fn full(url: &Url) -> Uri {
    let uri = format!("https://{}{}", url.host, url.path);
    uri.parse().expect("the parts of a parsed URL are valid")
}

#[cfg(test)]
mod tests {
    use statera_config::Scheme;

    use super::*;

    fn targets(template: &str) -> Targets {
        let template = UrlTemplate { text: template.to_owned(), scheme: Scheme::Http };
        Targets {
            template,
            dialect: Dialect::Async,
            connections_max: 1,
            counters: Rc::default(),
            known: RefCell::default(),
        }
    }

    fn function(number: usize) -> FunctionType {
        FunctionType::from_parts("test", &format!("f{number}"))
    }

    #[test]
    fn a_url_without_the_function_is_made_once() {
        let targets = targets("http://localhost/all");
        let [a, b] = [0, 1].map(|number| targets.of(&function(number)).ok().unwrap());
        assert!(Rc::ptr_eq(&a, &b));
    }

    #[test]
    fn functions_at_one_origin_share_its_connections() {
        let targets = targets("http://localhost/{function.name}?x=1");
        let [a, b] = [0, 1].map(|number| targets.of(&function(number)).ok().unwrap());
        assert_eq!((a.url.path.as_str(), b.url.path.as_str()), ("/f0?x=1", "/f1?x=1"));
        assert!(Rc::ptr_eq(&a.origin, &b.origin));
    }

    #[test]
    fn only_so_many_targets_and_origins_are_remembered() {
        let targets = targets("http://{function.name}.local/");
        for number in 0..TARGETS_MAX + ORIGINS_MAX {
            targets.of(&function(number)).ok().unwrap();
        }
        let known = targets.known.borrow();
        assert_eq!((known.by_function.len(), known.order.len()), (TARGETS_MAX, TARGETS_MAX));
        assert_eq!(known.origins.len(), ORIGINS_MAX);
        assert!(known.by_function.contains_key(&function(TARGETS_MAX + ORIGINS_MAX - 1)));
    }

    #[test]
    fn a_name_that_makes_no_url_is_refused() {
        let targets = targets("http://localhost/{function.name}");
        let Err((url, _)) = targets.of(&FunctionType::from_parts("test", "a b")) else {
            panic!("accepted")
        };
        assert_eq!(url, "http://localhost/a b");
    }
}
