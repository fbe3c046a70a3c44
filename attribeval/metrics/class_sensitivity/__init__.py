"""Does a map depend on the class that is explained, and on nothing that it should not depend on?"""
