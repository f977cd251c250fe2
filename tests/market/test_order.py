import datetime as dt

from workbench.market.order import STEPS, IntentState, client_order_id

WISH = {"account": "daily", "bot": "momentum", "session": dt.date(2015, 6, 30), "symbol": "AAPL"}


def test_the_same_wish_has_the_same_id_and_any_change_another():
    one = client_order_id(**WISH)
    assert one == client_order_id(**WISH)
    assert one.startswith("wb1-momentum-20150630-")
    assert one.endswith("-g0")
    assert len(one) <= 48
    others = [
        client_order_id(**{**WISH, **change})
        for change in (
            {"account": "x"},
            {"bot": "other"},
            {"session": dt.date(2015, 7, 1)},
            {"symbol": "MSFT"},
            {"leg": 1},
            {"generation": 1},
        )
    ]
    assert len({one, *others}) == 7


def test_a_long_bot_name_still_fits_the_broker():
    assert len(client_order_id(**{**WISH, "bot": "a-very-long-bot-name-indeed" * 3})) <= 48


def test_every_state_has_its_steps_and_ends_only_take_what_the_broker_proves_wrong():
    assert set(STEPS) == set(IntentState)
    late = {IntentState.PARTIALLY_FILLED, IntentState.FILLED}
    for state in IntentState:
        if state.is_end:
            # An order that went through although the broker said no is live after all.
            assert STEPS[state] <= late | ({IntentState.ACKED} if state is IntentState.REJECTED else set())
            assert not state.may_be_live


def test_an_unknown_order_is_never_called_rejected_without_the_brokers_word():
    assert IntentState.UNKNOWN.may_be_live
    assert IntentState.UNKNOWN_EXPIRED.may_be_live
    assert not IntentState.UNKNOWN_EXPIRED.is_end
