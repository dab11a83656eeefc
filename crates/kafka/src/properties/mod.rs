//! The user's properties, as librdkafka wants them.
//!
//! Users bring the properties of their Java clients. Most have the same name and meaning here; some are translated; some
//! mean nothing outside of Java and are named once in a warning; some are ours alone, because what we promise depends on
//! them. What nobody knows is an error at the start. All of it is decided by [`translate`], which does nothing else.

mod jaas;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use statera_config::Delivery;

use table::{Fate, Setting};

/// Whose properties they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ingress,
    Egress(Delivery),
}

/// What there is for librdkafka, and for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Translated {
    /// Values by the names of librdkafka, none of them twice under different names.
    pub(crate) values: BTreeMap<String, String>,
    /// The names that users wrote, by those of librdkafka.
    pub(crate) names: BTreeMap<String, String>,
    /// To be said once.
    pub(crate) warnings: Vec<String>,
    /// Where to begin if a group has committed nothing.
    pub(crate) reset: Reset,
}

/// Where to begin if a group has committed nothing: the user's `auto.offset.reset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reset {
    Earliest,
    #[default]
    Latest,
    Fail,
}

/// A property that can't be. Its value is not shown: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) property: String,
    pub(crate) why: String,
    pub(crate) hint: String,
}

impl Refused {
    pub(crate) fn new(property: &str, why: impl Into<String>, hint: impl Into<String>) -> Refused {
        Refused { property: property.to_owned(), why: why.into(), hint: hint.into() }
    }
}

/// What to do without TLS.
pub(crate) const NO_TLS: &str = "use the released program, or build with the feature `kafka-tls`";

/// Translates. `tls` tells whether this build has it.
pub(crate) fn translate(
    properties: &BTreeMap<String, String>,
    role: Role,
    tls: bool,
) -> Result<Translated, Refused> {
    let mut translated = Translated::default();
    for setting in table::defaults(role) {
        translated.values.insert(setting.name.to_owned(), setting.value.into_owned());
    }
    let ours = table::ours(role);
    for (name, value) in properties {
        translated.take(name, value, &ours, role)?;
    }
    security(properties, tls)?;
    tls_files(properties, &mut translated)?;
    for setting in ours.into_iter().filter(|setting| !setting.value.is_empty()) {
        translated.values.insert(setting.name.to_owned(), setting.value.into_owned());
    }
    Ok(translated)
}

impl Translated {
    fn take(
        &mut self,
        name: &str,
        value: &str,
        ours: &[Setting],
        role: Role,
    ) -> Result<(), Refused> {
        let canonical = table::canonical(name);
        if canonical == "auto.offset.reset" && role == Role::Ingress {
            self.reset = reset(name, value)?;
            return Ok(());
        }
        if let Some(setting) = ours.iter().find(|setting| setting.name == canonical) {
            if !setting.value.eq_ignore_ascii_case(value.trim()) {
                self.warnings.push(match &*setting.value {
                    "" => format!("property `{name}` has no effect: {}", setting.why),
                    ours => {
                        format!("property `{name}` is set by Statera, to `{ours}`: {}", setting.why)
                    }
                });
            }
            return Ok(());
        }
        match table::fate(canonical, role) {
            Fate::Same => self.set(name, canonical, value.to_owned()),
            Fate::Renamed(to) => self.set(name, to, value.to_owned()),
            Fate::Kilobytes(to) => self.set(name, to, kilobytes(name, value)?),
            Fate::SocketBuffer(to) => {
                let value = if value.trim() == "-1" { "0" } else { value };
                self.set(name, to, value.to_owned());
            }
            Fate::HostnameCheck => {
                let value = if value.trim().is_empty() { "none" } else { value };
                self.set(name, canonical, value.to_owned());
            }
            Fate::Jaas => {
                let login =
                    jaas::login(value).map_err(|(why, hint)| Refused::new(name, why, hint))?;
                self.set(name, "sasl.username", login.username);
                self.set(name, "sasl.password", login.password);
            }
            Fate::TlsFile => {}
            Fate::Ignored(why) => {
                self.warnings.push(format!("property `{name}` has no effect: {why}"));
            }
            Fate::Refused { why, hint } => return Err(Refused::new(name, why, hint)),
        }
        Ok(())
    }

    fn set(&mut self, name: &str, to: &str, value: String) {
        self.values.insert(to.to_owned(), value);
        self.names.insert(to.to_owned(), name.to_owned());
    }
}

fn reset(name: &str, value: &str) -> Result<Reset, Refused> {
    match value.trim().to_ascii_lowercase().as_str() {
        "earliest" | "smallest" | "beginning" => Ok(Reset::Earliest),
        "latest" | "largest" | "end" => Ok(Reset::Latest),
        "none" | "error" => Ok(Reset::Fail),
        _ => Err(Refused::new(
            name,
            format!("cannot be `{value}`"),
            "set it to `earliest`, `latest` or `none`; to begin at a time use `startupPosition`",
        )),
    }
}

fn kilobytes(name: &str, value: &str) -> Result<String, Refused> {
    let bytes: u64 = value.trim().parse().map_err(|_| {
        Refused::new(name, format!("cannot be `{value}`"), "set it to a number of bytes")
    })?;
    Ok((bytes / 1024).max(1).to_string())
}

/// Whether this build can do what is asked for. librdkafka would say so, too, but not what to do about it.
fn security(properties: &BTreeMap<String, String>, tls: bool) -> Result<(), Refused> {
    let find = |wanted: &str| {
        let mut all = properties.iter().filter(|(name, _)| table::canonical(name) == wanted);
        all.next_back().map(|(name, value)| (&**name, value.trim().to_ascii_uppercase()))
    };
    let Some((name, protocol)) = find("security.protocol") else { return Ok(()) };
    let refuse = |name, value: &str| {
        Err(Refused::new(
            name,
            format!("is `{value}`, and this program was built without TLS"),
            NO_TLS,
        ))
    };
    if protocol.ends_with("SSL") && !tls {
        return refuse(name, &protocol);
    }
    if !protocol.starts_with("SASL") {
        return Ok(());
    }
    match find("sasl.mechanism") {
        Some((_, mechanism)) if mechanism == "PLAIN" => Ok(()),
        Some((name, mechanism)) if mechanism.starts_with("SCRAM-") => {
            if tls {
                Ok(())
            } else {
                refuse(name, &mechanism)
            }
        }
        Some((name, mechanism)) => Err(Refused::new(
            name,
            format!("is `{mechanism}`, which is not supported"),
            "use `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`, or TLS with client certificates",
        )),
        None => Err(Refused::new(
            name,
            format!(
                "is `{protocol}`, but `sasl.mechanism` is not set; Kafka's default, Kerberos, is not supported"
            ),
            "set `sasl.mechanism` to `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`",
        )),
    }
}

/// Keystores and truststores, whose properties mean something only together.
fn tls_files(
    properties: &BTreeMap<String, String>,
    translated: &mut Translated,
) -> Result<(), Refused> {
    for store in ["ssl.truststore", "ssl.keystore"] {
        let of = |part: &str| properties.get(&format!("{store}.{part}"));
        let location = format!("{store}.location");
        let given = of("location").is_some();
        let kind = match of("type") {
            Some(kind) => kind.trim().to_ascii_uppercase(),
            None => kind_of(of("location").map_or("", |path| path)).to_owned(),
        };
        match (store, &*kind) {
            (_, "PEM") if given => {
                let path = of("location").cloned().unwrap_or_default();
                let targets: &[&str] = match store {
                    "ssl.truststore" => &["ssl.ca.location"],
                    _ => &["ssl.key.location", "ssl.certificate.location"],
                };
                for target in targets {
                    translated.set(&location, target, path.clone());
                }
            }
            ("ssl.keystore", "PKCS12") if given => {
                let path = of("location").cloned().unwrap_or_default();
                translated.set(&location, &location, path);
                if let Some(password) = of("password") {
                    let name = format!("{store}.password");
                    translated.set(&name, &name, password.clone());
                }
            }
            _ if given => {
                return Err(Refused::new(
                    &location,
                    format!("is of type `{kind}`, which only Java reads"),
                    format!(
                        "convert it to PEM (`keytool -importkeystore -deststoretype PKCS12 …`, then \
                         `openssl pkcs12 -nodes …`) and set `{store}.type` to `PEM`"
                    ),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The type of a keystore or truststore that does not say it: Java's default, unless the name of the file tells.
fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("pem" | "crt") => "PEM",
        Some("p12" | "pfx") => "PKCS12",
        _ => "JKS",
    }
}
