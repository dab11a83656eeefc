//! The StateFun request-reply protocol: requests to functions and their replies, byte for byte.
