//! Class 115, Token gateway: payment metering, tokens that bring credit.

use super::Array;
use crate::axdr::BitString;
use crate::time::DateTime;

interface_class! {
    "Token gateway" = 115, versions 0..=0, methods at 0x30;
    attributes {
        /// The last token.
        2 Token token, dynamic: &'a [u8];
        /// When it came.
        3 TokenTime token_time, dynamic: DateTime;
        /// What it is made of.
        4 TokenDescription token_description, dynamic: Array<'a, &'a [u8]>;
        /// How it came.
        5 Delivery token_delivery_method, dynamic: TokenDeliveryMethod;
        /// What became of it.
        6 Status token_status, dynamic: TokenStatus<'a>;
    }
    methods {
        /// Hands over a token.
        1 Enter enter: &'a [u8] => TokenStatus<'a>;
    }
}

structure! {
    /// What became of a token.
    TokenStatus<'a> "structure of token status" {
        /// The step that it reached.
        status_code: TokenStatusCode,
        /// Further details.
        data: BitString<'a>,
    }
}

enumeration! {
    /// How a token came.
    TokenDeliveryMethod "token delivery method" {
        /// Over a network.
        Remote = 0,
        /// Over a local port.
        Local = 1,
        /// By hand.
        Manual = 2,
    }
}

enumeration! {
    /// What became of a token.
    TokenStatusCode "token status code" {
        /// Its format is right.
        FormatOk = 0,
        /// It is authentic.
        AuthenticationOk = 1,
        /// It is valid.
        ValidationOk = 2,
        /// It was executed.
        ExecutionOk = 3,
        /// Its format is wrong.
        FormatFailure = 4,
        /// It is not authentic.
        AuthenticationFailure = 5,
        /// It is not valid.
        ValidationFailure = 6,
        /// It could not be executed.
        ExecutionFailure = 7,
        /// It waits.
        NotProcessed = 8,
    }
}
