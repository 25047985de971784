"""Terraform's numbers: binary floating point with 512 bits of precision, here as int or Fraction.

Terraform rounds to the precision of the operands, which is 64 bits for what some functions return. What would need rounding
is therefore Unresolvable, except in literals and strings, which are always parsed with 512 bits.

Source: Go's math/big.Float and cty's ParseNumberVal, November 2026.
"""

from __future__ import annotations

import re
from fractions import Fraction

from rolecall_generator.terraform.parser.values import TerraformError, Unresolvable

Number = int | Fraction

PRECISION = 512
_SAFE_BITS = 64
"""A result of at most this many bits is exact at every precision that Terraform uses."""
_DIGITS = 60
_PLAIN = re.compile(r"-?[0-9]{1,150}(?:\.[0-9]{1,150})?(?:[eE][+-]?[0-9]{1,2})?")
_PERHAPS = re.compile(r"[+-]?(?:[0-9.][0-9._eEpP+-]*|[iI][nN][fF].*)")


def parse_number(text: str) -> Number:
    """Parse a number literal or a string that contains a number.

    Raises TerraformError if no version of Terraform accepts it, Unresolvable for unsupported forms.
    """
    if _PLAIN.fullmatch(text):
        value = _rounded(Fraction(text))
        if value == 0 and text.startswith("-"):
            raise Unresolvable("a negative zero")
        return value
    if _PERHAPS.fullmatch(text):
        raise Unresolvable("a number in an unsupported form")
    raise TerraformError("a number is required")


def _rounded(value: Fraction) -> Number:
    """Round to 512 bits, ties to even."""
    if value.denominator == 1 and value.numerator.bit_length() <= PRECISION:
        return value.numerator
    if value.numerator == 0:
        return 0
    scale = PRECISION - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    # round() of a Fraction rounds half to even; the first scale may leave one bit too many or too few.
    for exponent in (scale + 1, scale, scale - 1):
        mantissa = round(value * Fraction(2) ** exponent)
        if abs(mantissa).bit_length() <= PRECISION:
            return normal(Fraction(mantissa) / Fraction(2) ** exponent)
    raise Unresolvable("a number that cannot be rounded")  # pragma: no cover


def normal(value: Number) -> Number:
    """Convert integral numbers to int. Raises Unresolvable for numbers that 512 bits cannot represent."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if isinstance(value, int) and value.bit_length() > PRECISION:
        raise Unresolvable("a number too large to be evaluated")
    return value


def exact(value: Number) -> Number:
    """The result of a calculation. Raises Unresolvable if Terraform may have rounded it."""
    fraction = Fraction(value)
    denominator = fraction.denominator
    if denominator & (denominator - 1):
        raise Unresolvable("a quotient that has to be rounded")
    odd = abs(fraction.numerator)
    if odd:
        odd >>= (odd & -odd).bit_length() - 1
    if max(odd.bit_length(), denominator.bit_length()) > _SAFE_BITS or abs(fraction.numerator).bit_length() > PRECISION:
        raise Unresolvable("a number that may have to be rounded")
    return normal(fraction)


def number_text(value: Number) -> str:
    """The shortest decimal form of a number, without exponent. Raises Unresolvable if it is very long."""
    if isinstance(value, int):
        return str(value)
    sign, magnitude = ("-" if value < 0 else ""), abs(value)
    whole = int(magnitude)
    # Decimal places of the first significant digit.
    first = 0 if whole else len(str(magnitude.denominator // magnitude.numerator)) - 1
    for places in range(max(first, 1), first + _DIGITS):
        scaled = round(magnitude * 10**places)
        if _rounded(Fraction(scaled, 10**places)) == magnitude:
            digits = str(scaled).rjust(places + 1, "0")
            return f"{sign}{digits[:-places]}.{digits[-places:]}"
    raise Unresolvable("a number with very many decimals")
