//! Token gateway (class 115, version 0).

use dlms::apdu::{ActionResult, DataAccessResult};
use dlms::association::server::Progress;
use dlms::axdr::BitString;
use dlms::cosem::token_gateway::{self, TokenStatus};
use dlms::cosem::{Answer, Reply};
use dlms::obis::ObisCode;

use super::account::{PrepaymentState, stamp};
use crate::object::Context;

type Answered = Result<Progress, DataAccessResult>;

/// Takes tokens that bring credit.
#[derive(Clone, Copy, Debug)]
pub struct TokenGateway {
    /// Logical name.
    pub instance: ObisCode,
}

serve!(token_gateway: [S: PrepaymentState + ?Sized] TokenGateway);

fn status<S: PrepaymentState + ?Sized>(state: &S) -> TokenStatus<'static> {
    // The details are up to the manufacturer: there are none.
    let data = BitString::new(&[0], 8).unwrap_or(BitString::EMPTY);
    TokenStatus { status_code: state.prepayment().last_token.status, data }
}

impl<'c, S: PrepaymentState + ?Sized> token_gateway::Server<S, Context<'c, S>> for TokenGateway {
    fn token(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, token_gateway::Token>) -> Answered {
        answer.value(&&*state.prepayment().last_token.token)
    }

    fn token_time(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, token_gateway::TokenTime>) -> Answered {
        answer.value(&stamp(state, state.prepayment().last_token.at))
    }

    /// The amount's number, once there was a token.
    fn token_description(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, token_gateway::TokenDescription>,
    ) -> Answered {
        let number = state.prepayment().token_number.to_be_bytes();
        answer.written(|out| {
            out.array(1)?;
            out.octets(&number)
        })
    }

    fn token_delivery_method(
        &self,
        state: &S,
        _: &Context<'c, S>,
        answer: Answer<'_, '_, token_gateway::Delivery>,
    ) -> Answered {
        answer.value(&state.prepayment().last_token.delivery)
    }

    fn token_status(&self, state: &S, _: &Context<'c, S>, answer: Answer<'_, '_, token_gateway::Status>) -> Answered {
        answer.value(&status(state))
    }

    fn enter(
        &self,
        state: &mut S,
        cx: &Context<'c, S>,
        token: &[u8],
        reply: Reply<'_, '_, token_gateway::Enter>,
    ) -> Result<(), ActionResult> {
        state.enter_token(token, cx.at);
        reply.value(&status(state))
    }
}
