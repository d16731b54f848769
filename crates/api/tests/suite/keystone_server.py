"""Serves a stock Keystone: PORT CONFIG. Its own command line would be read by Keystone, too."""

import os
import sys

port, config = sys.argv[1:]
sys.argv = ["keystone"]
os.environ["OS_KEYSTONE_CONFIG_FILES"] = config

from keystone.wsgi.api import application  # noqa: E402
from waitress import serve  # noqa: E402

serve(application, listen="127.0.0.1:" + port, threads=4)
