"""The conformance kit: what every part of a kind must do, checked the same way for our parts and for yours.

In a plugin's tests::

    import pytest
    from mmx.testing import Conformance, checks_of

    @pytest.mark.parametrize("check", checks_of("my_package"), ids=str)
    def test_conforms(check: Conformance) -> None:
        check()

On the command line: ``mmx plugins check my_package``.
"""

from mmx.testing.check import BrokenError as BrokenError
from mmx.testing.partners import sizes_of as sizes_of
from mmx.testing.run import Conformance as Conformance
from mmx.testing.run import Finding as Finding
from mmx.testing.run import checks_of as checks_of
from mmx.testing.stand_ins import small_model as small_model
from mmx.testing.stand_ins import whole as whole
