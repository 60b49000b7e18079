"Hand setuptools what settings.ini says."

from configparser import ConfigParser

from setuptools import setup

config = ConfigParser(delimiters=["="])
config.read("settings.ini", encoding="utf-8")
settings = config["DEFAULT"]
setup(
    package_data={"mlops_kit": ["_source/**/*"]},  # the notebooks, put there when a wheel is built
    version=settings["version"],
    description=settings["description"],
    python_requires=f">={settings['min_python']},<3.13",
    install_requires=settings["requirements"].split(),
    license="Apache-2.0",
    keywords=settings["keywords"].split(),
    author=settings["author"],
    author_email=settings["author_email"],
)
