//! How addresses and names are written.

use statera_model::{Address, Id, InvalidName, Name};

/// Who a message is for: a function and an id, `("shop/cart", id)`; an [`Address`]; or an address as text,
/// `"shop/cart/ada"`, where all that follows the second slash is the id.
pub trait To {
    /// The address.
    ///
    /// # Errors
    /// If the function is not of the form `namespace/name`.
    fn to(self) -> Result<Address, InvalidName>;
}

impl To for Address {
    fn to(self) -> Result<Address, InvalidName> {
        Ok(self)
    }
}

impl To for &Address {
    fn to(self) -> Result<Address, InvalidName> {
        Ok(self.clone())
    }
}

impl<F: ToName, I: Into<Id>> To for (F, I) {
    fn to(self) -> Result<Address, InvalidName> {
        Ok(Address::new(self.0.to_name()?, self.1))
    }
}

impl To for &str {
    fn to(self) -> Result<Address, InvalidName> {
        let second = self.match_indices('/').nth(1);
        let (at, _) = second.ok_or_else(|| InvalidName(self.to_owned()))?;
        Ok(Address::new(Name::parse(&self[..at])?, &self[at + 1..]))
    }
}

impl To for &String {
    fn to(self) -> Result<Address, InvalidName> {
        self.as_str().to()
    }
}

impl To for String {
    fn to(self) -> Result<Address, InvalidName> {
        self.as_str().to()
    }
}

/// A name `namespace/name`: text, or a [`Name`], which saves time where it is used often, and most if it is a constant:
///
/// ```
/// use statera_sdk::{Context, Name, Result};
///
/// const STOCK: Name = Name::from_static("shop/stock"); // a mistake here is found when the program is built
///
/// fn order(ctx: &mut Context, item: String) -> Result {
///     ctx.send((STOCK, item), 1);
///     Ok(())
/// }
/// ```
pub trait ToName {
    /// The name.
    ///
    /// # Errors
    /// If it is not of the form `namespace/name`.
    fn to_name(self) -> Result<Name, InvalidName>;
}

impl ToName for &str {
    fn to_name(self) -> Result<Name, InvalidName> {
        Name::parse(self)
    }
}

impl ToName for &Name {
    fn to_name(self) -> Result<Name, InvalidName> {
        Ok(self.clone())
    }
}

impl ToName for Name {
    fn to_name(self) -> Result<Name, InvalidName> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_can_be_written_in_several_ways() {
        let ada = Address::new(Name::parse("shop/cart").unwrap(), "ada");
        assert_eq!(("shop/cart", "ada").to(), Ok(ada.clone()));
        assert_eq!(("shop/cart", String::from("ada")).to(), Ok(ada.clone()));
        assert_eq!((&ada.function, ada.id.clone()).to(), Ok(ada.clone()));
        assert_eq!("shop/cart/ada".to(), Ok(ada.clone()));
        assert_eq!(ada.to_string().to(), Ok(ada));
    }

    #[test]
    fn an_id_may_be_anything() {
        for id in ["", "a/b", "/", "ä"] {
            assert_eq!(&*format!("shop/cart/{id}").to().unwrap().id, id);
        }
    }

    #[test]
    fn a_function_has_two_parts() {
        for bad in ["", "cart", "shop/cart", "/cart/ada", "shop//ada"] {
            assert!(bad.to().is_err(), "{bad}");
        }
        assert_eq!(("shop/cart/x", "ada").to(), Err(InvalidName("shop/cart/x".into())));
    }
}
