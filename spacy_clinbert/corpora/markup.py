"""XML files, read safely: no entity is expanded, nothing is fetched."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ..errors import ClinbertError

# https://www.w3.org/TR/xml/#charsets
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_xml(path: Path, content: bytes | None = None) -> Element:
    """Read an XML file.

    path (Path): the file.
    content (bytes | None): its bytes, where they had to be mended first.
    RETURNS (Element): its root. As XML says, line ends of its texts are line feeds.
    RAISES (ClinbertError): if the file is missing, is no XML, is not in the encoding that it states, or defines
        entities (an XML bomb).
    """
    try:
        return fromstring(path.read_bytes() if content is None else content)
    except OSError as error:
        raise ClinbertError(f"{path}: {error.strerror or 'cannot be read'}; every document needs this file") from None
    except DefusedXmlException:
        raise ClinbertError(
            f"{path}: defines or fetches entities, which can exhaust memory: take the file as released"
        ) from None
    except ParseError as error:
        line, column = error.position
        # expat's own words hold no text of the file, only what is wrong; bytes of another encoding are a bad token too.
        reason = str(error).partition(":")[0].replace("token)", "token, or not in the stated encoding)")
        raise ClinbertError(
            f"{path}, line {line}, column {column + 1}: {reason}: correct the file, or take it as released"
        ) from None
    except (LookupError, ValueError):
        raise ClinbertError(f"{path}: is not in the encoding that its first line states: convert it to UTF-8") from None
